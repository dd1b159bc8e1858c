//! IPv4-mapped addresses: which IPv4 address each is, and policies that write one.
//!
//! In a request such an address is the IPv4 address that it maps. Cedar takes the two for different addresses, so that a policy that writes
//! one would never hold.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use cedar_policy_core::ast::{Expr, ExprKind, Literal};
use smol_str::SmolStr;

use super::policy::Statement;
use super::problem::Problem;

/// The IPv4 address or range that an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2), or a range of /96 and longer of such, is; `None`
/// of any other text.
pub fn ipv4_of_mapped(text: &str) -> Option<SmolStr> {
    let (address, prefix) = split_range(text)?;
    let IpAddr::V6(address) = IpAddr::from_str(address).ok()? else { return None };
    let mapped: Ipv4Addr = address.to_ipv4_mapped()?;
    match prefix {
        None => Some(mapped.to_string().into()),
        // Cedar keeps the host bits of a range, and so does this.
        Some(prefix @ 96..=128) => Some(format!("{mapped}/{}", prefix - 96).into()),
        Some(_) => None,
    }
}

/// An address, and the length of the prefix behind it if there is one.
pub fn split_range(text: &str) -> Option<(&str, Option<u8>)> {
    match text.split_once('/') {
        None => Some((text, None)),
        Some((address, prefix)) => {
            let plain = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
            let zeros = prefix.len() > 1 && prefix.starts_with('0');
            Some((address, Some(prefix.parse().ok().filter(|_| plain && !zeros)?)))
        }
    }
}

/// Every IPv4-mapped address that a statement writes.
pub(super) fn mapped_literals(statement: &Statement) -> Vec<Problem> {
    let conditions = statement.policy.as_ref().non_scope_constraints().into_iter();
    let written = conditions.flat_map(Expr::subexpressions).filter_map(|part| match part.expr_kind() {
        ExprKind::ExtensionFunctionApp { fn_name, args } if fn_name.to_string() == "ip" => {
            match args.first()?.expr_kind() {
                ExprKind::Lit(Literal::String(text)) => Some((part, ipv4_of_mapped(text)?, text)),
                _ => None,
            }
        }
        _ => None,
    });
    let problems = written.map(|(part, address, text)| {
        let problem = Problem::error(format!("`{text}` is an IPv4-mapped address, which no request has"))
            .in_file(&statement.file)
            .with_help(format!("write the IPv4 address, as requests have it: `ip(\"{address}\")`"));
        match part.source_loc() {
            Some(location) => problem.at(location.span, ""),
            None => problem,
        }
    });
    problems.collect()
}
