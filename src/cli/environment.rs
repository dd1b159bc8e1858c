//! The variables of the environment that begin as those of the settings do: which of them nothing reads.

use std::ffi::OsString;

use clap::{Command, CommandFactory};

use super::{Cli, status};
use crate::store::Problem;
use crate::store::nearest::nearest;

const PREFIX: &str = "GATEPOST_";

/// A warning for each variable of this process that nothing reads.
pub(super) fn warnings() -> Vec<Problem> {
    let known = known();
    let mut unknown: Vec<_> = std::env::vars_os().filter_map(|variable| unknown(variable, &known)).collect();
    unknown.sort();
    let warnings = unknown.into_iter().map(|name| {
        let rest = |name: &'_ str| name.strip_prefix(PREFIX).unwrap_or_default().to_owned();
        let rests: Vec<String> = known.iter().map(|known| rest(known)).collect();
        let help = match nearest(&rest(&name), rests.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{PREFIX}{meant}`?"),
            None => "`gatepost --help` lists the settings, each with its variable".to_owned(),
        };
        Problem::warning(format!("nothing reads the variable `{}`", name.escape_debug())).with_help(help)
    });
    warnings.collect()
}

/// The variables that are read.
fn known() -> Vec<String> {
    fn of(command: &Command, known: &mut Vec<String>) {
        let names = command.get_arguments().filter_map(|argument| argument.get_env());
        known.extend(names.map(|name| name.to_string_lossy().into_owned()));
        command.get_subcommands().for_each(|command| of(command, known));
    }
    let mut known = vec![status::TOKEN.to_owned()];
    of(&Cli::command(), &mut known);
    known.retain(|name| name.starts_with(PREFIX));
    known
}

/// The name of a variable that was probably meant for this program, and that nothing reads.
fn unknown((name, value): (OsString, OsString), known: &[String]) -> Option<String> {
    let (name, value) = (name.to_string_lossy().into_owned(), value.to_string_lossy());
    let is_unknown = name.starts_with(PREFIX) && !known.contains(&name) && !is_service_link(&name, &value);
    is_unknown.then_some(name)
}

/// Whether Kubernetes sets such a variable in every container beside a service whose name begins with `gatepost`: where it is reached.
/// (<https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables>)
fn is_service_link(name: &str, value: &str) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // `GATEPOST_PORT_80_TCP`, and `_PROTO`, `_PORT` and `_ADDR` behind it
    let is_of_port = || {
        let (_, rest) = name.split_once("_PORT_")?;
        let (port, rest) = rest.split_once('_')?;
        let (protocol, part) = rest.split_once('_').unwrap_or((rest, "ADDR"));
        let is_known = ["TCP", "UDP", "SCTP"].contains(&protocol) && ["PROTO", "PORT", "ADDR"].contains(&part);
        Some(is_port(port) && is_known)
    };
    let is_named_port = name.contains("_SERVICE_PORT_") && is_port(value);
    (name.ends_with("_PORT") && is_url)
        || (name.ends_with("_SERVICE_PORT") && is_port(value))
        || name.ends_with("_SERVICE_HOST")
        || is_named_port
        || is_of_port() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::{is_service_link, known};

    /// "Those of Kubernetes' service links: nothing"
    #[test]
    fn what_kubernetes_sets_is_told_from_what_was_meant_for_this_program() {
        for (name, value) in [
            ("GATEPOST_PORT", "tcp://10.0.0.11:8180"),
            ("GATEPOST_SERVICE_HOST", "10.0.0.11"),
            ("GATEPOST_SERVICE_PORT", "8180"),
            ("GATEPOST_SERVICE_PORT_HTTP", "8180"),
            ("GATEPOST_PORT_80_TCP", "tcp://10.0.0.11:80"),
            ("GATEPOST_PORT_80_TCP_PROTO", "tcp"),
            ("GATEPOST_PORT_80_TCP_PORT", "80"),
            ("GATEPOST_PORT_80_TCP_ADDR", "10.0.0.11"),
            ("GATEPOST_PORT_53_UDP_ADDR", "10.0.0.11"),
            ("GATEPOST_ADMIN_PORT", "tcp://10.0.0.12:8181"),
            ("GATEPOST_ADMIN_SERVICE_HOST", "10.0.0.12"),
        ] {
            assert!(is_service_link(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("GATEPOST_PORT", "8180"),
            ("GATEPOST_PORTS", "tcp://10.0.0.11:8180"),
            ("GATEPOST_STROE", "s"),
            ("GATEPOST_SERVICE", "10.0.0.11"),
            ("GATEPOST_PORT_X_TCP", "80"),
        ] {
            assert!(!is_service_link(name, value), "{name}={value}");
        }
        for setting in known() {
            assert!(!is_service_link(&setting, "80") && !is_service_link(&setting, "tcp://10.0.0.11:80"), "{setting}");
        }
    }
}
