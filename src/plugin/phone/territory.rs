//! Numbering plans: what is a number of a territory, and how it is dialled there.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use phonenumber::metadata::loader;
use regex::{Captures, Regex};

/// Every territory by its calling code, the main one of each code first.
pub(super) struct Territories(BTreeMap<u16, Vec<Territory>>);

impl Territories {
    /// What was read of each, in the order of the file: of the territories that share a calling code the first that claims a number has
    /// it.
    ///
    /// # Errors
    ///
    /// What a territory lacks.
    pub(super) fn new(read: Vec<loader::Metadata>) -> Result<Self, String> {
        let mut by_code: BTreeMap<u16, Vec<Territory>> = BTreeMap::new();
        for data in read {
            let is_main = data.main_country_for_code;
            let territory = Territory::new(data)?;
            let sharing = by_code.entry(territory.code).or_default();
            let place = if is_main { 0 } else { sharing.len() };
            sharing.insert(place, territory);
        }
        Ok(Self(by_code))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Territory> {
        self.0.values().flatten()
    }

    /// The territory of this region, compared exactly. The world ("001") is no territory where one can stand and dial.
    pub(super) fn find(&self, id: &str) -> Option<&Territory> {
        self.iter().find(|territory| territory.id == id && id != WORLD)
    }

    /// The territory whose rules hold for international numbers with this calling code, such as the United States for +1.
    pub(super) fn main(&self, code: u16) -> Option<&Territory> {
        self.0.get(&code)?.first()
    }

    /// libphonenumber's `getRegionCodeForNumber`: the first territory of the calling code that claims the number.
    pub(super) fn owner(&self, code: u16, national: &str) -> Option<&Territory> {
        match self.0.get(&code)?.as_slice() {
            [only] => Some(only),
            several => several.iter().find(|territory| territory.claims(national)),
        }
    }
}

/// The region of the networks of no country.
pub(super) const WORLD: &str = "001";

/// The numbering plan of a region: a country or a part of one, or a network of no country ("001").
pub(super) struct Territory {
    pub(super) id: String,
    pub(super) code: u16,
    /// What a national significant number of the territory looks like, whatever it is used for.
    general: Pattern,
    /// What it looks like for each use, such as mobile or toll-free, and how long it can be then.
    uses: Vec<(Vec<u16>, Pattern)>,
    /// The lengths of what can be dialled only from nearby, without an area code.
    local_lengths: Vec<u16>,
    /// What is dialled before the calling code of another country.
    exit_code: Option<Pattern>,
    /// What is dialled before a national number.
    national_prefix: Option<Pattern>,
    /// What replaces the national prefix, if it says more than that the number is national.
    national_prefix_becomes: Option<String>,
    /// How the numbers begin that are the territory's and of no other that shares its calling code.
    leading_digits: Option<Pattern>,
}

impl Territory {
    fn new(data: loader::Metadata) -> Result<Self, String> {
        let id = data.id.ok_or("a territory has no `id`")?;
        let lacks = |what: &str| format!("the territory {id} has no {what}");
        // The uses that make a number valid. What else the metadata describes is about short numbers and how to dial.
        let uses = [
            data.fixed_line,
            data.mobile,
            data.toll_free,
            data.premium_rate,
            data.shared_cost,
            data.personal_number,
            data.voip,
            data.pager,
            data.uan,
            data.voicemail,
        ];
        let (mut described, mut local_lengths) = (Vec::new(), Vec::new());
        for used in uses.into_iter().flatten() {
            let pattern = used.national_number.ok_or_else(|| lacks("`nationalNumberPattern` of one of its uses"))?;
            described.push((used.possible_length, Pattern::whole(&pattern)));
            local_lengths.extend(used.possible_local_length);
        }
        let general = data.general.and_then(|general| general.national_number);
        let general = general.ok_or_else(|| lacks("`nationalNumberPattern` of its `generalDesc`"))?;
        // Where the metadata says only what the prefix is, it is parsed as such.
        let national_prefix = data.national_prefix_for_parsing.or(data.national_prefix);
        Ok(Self {
            code: data.country_code.ok_or_else(|| lacks("`countryCode`"))?,
            general: Pattern::whole(&general),
            uses: described,
            local_lengths,
            exit_code: data.international_prefix.as_deref().map(Pattern::start),
            national_prefix: national_prefix.as_deref().map(Pattern::start),
            // In braces, or the group of `$10` would be taken to be the tenth.
            national_prefix_becomes: data
                .national_prefix_transform_rule
                .map(|rule| rule.replace("$1", "${1}").replace("$2", "${2}")),
            leading_digits: data.leading_digits.as_deref().map(Pattern::start),
            id,
        })
    }

    /// Every pattern of the territory.
    #[cfg(test)]
    pub(super) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let others = [&self.exit_code, &self.national_prefix, &self.leading_digits];
        let uses = self.uses.iter().map(|(_, pattern)| pattern);
        uses.chain([&self.general]).chain(others.into_iter().flatten())
    }

    /// Whether this is a number of the territory for any use (libphonenumber's `getNumberTypeHelper`).
    pub(super) fn is_valid(&self, national: &str) -> bool {
        let mut uses = self.uses.iter().filter(|(lengths, _)| is_among(lengths, national.len())).peekable();
        uses.peek().is_some() && self.general.is_match(national) && uses.any(|(_, pattern)| pattern.is_match(national))
    }

    /// Whether the number belongs here, among the territories that share the calling code.
    fn claims(&self, national: &str) -> bool {
        match &self.leading_digits {
            Some(leading_digits) => leading_digits.is_match(national),
            None => self.is_valid(national),
        }
    }

    /// Whether so many digits are a number here, for some use.
    pub(super) fn has_length(&self, length: usize) -> bool {
        self.uses.iter().any(|(lengths, _)| is_among(lengths, length))
    }

    /// Whether digits are more than a number here can have (`TOO_LONG` of libphonenumber's `testNumberLength`).
    pub(super) fn is_too_long(&self, length: usize) -> bool {
        let mut lengths = self.uses.iter().flat_map(|(lengths, _)| lengths);
        lengths.all(|possible| length > usize::from(*possible)) && !is_among(&self.local_lengths, length)
    }

    /// The digits after the exit code (libphonenumber's `parsePrefixAsIdd`).
    pub(super) fn after_exit_code<'d>(&self, digits: &'d str) -> Option<&'d str> {
        let (_, international) = self.exit_code.as_ref()?.split(digits)?;
        // No calling code starts with a zero, so that was no exit code.
        (!international.starts_with('0')).then_some(international)
    }

    /// The digits after the territory's own calling code, which is often written without a plus sign. It is only taken
    /// for one if the digits make no sense otherwise.
    pub(super) fn after_own_code(&self, digits: &str) -> Option<String> {
        let national = self.without_national_prefix(digits.strip_prefix(&self.code.to_string())?);
        let makes_sense = !self.general.is_match(digits) && self.general.is_match(&national);
        (makes_sense || self.is_too_long(digits.len())).then_some(national)
    }

    /// The digits after the national prefix, unless they make sense only with it
    /// (libphonenumber's `maybeStripNationalPrefixAndCarrierCode`).
    pub(super) fn without_national_prefix(&self, digits: &str) -> String {
        self.replace_national_prefix(digits)
            .filter(|national| !self.general.is_match(digits) || self.general.is_match(national))
            .unwrap_or_else(|| digits.to_owned())
    }

    fn replace_national_prefix(&self, digits: &str) -> Option<String> {
        let (prefix, rest) = self.national_prefix.as_ref()?.split(digits)?;
        let mut national = String::new();
        // The rule is about the last group: without it, only a prefix was dialled.
        if let Some(rule) = &self.national_prefix_becomes
            && prefix.iter().last().flatten().is_some()
        {
            prefix.expand(rule, &mut national);
        }
        national.push_str(rest);
        Some(national)
    }
}

fn is_among(lengths: &[u16], length: usize) -> bool {
    lengths.iter().any(|possible| usize::from(*possible) == length)
}

/// A regular expression that is compiled when it is first needed. One that cannot be compiled matches nothing; no metadata are taken that
/// have one.
pub(super) struct Pattern {
    source: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// Matches digits as a whole. The metadata breaks long expressions into lines, whose white space means nothing.
    pub(super) fn whole(source: &str) -> Self {
        Self::new(format!("(?-u)^(?:{})$", source.split_whitespace().collect::<String>()))
    }

    /// Matches what digits start with.
    fn start(source: &str) -> Self {
        Self::new(format!("(?-u)^(?:{})", source.split_whitespace().collect::<String>()))
    }

    pub(super) fn new(source: String) -> Self {
        Self { source, compiled: OnceLock::new() }
    }

    /// Whether it can be compiled, without keeping what comes of it.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub(super) fn check(&self) -> Result<(), String> {
        // The digits of a number and nothing else: what is large, or unbalanced, is no such pattern.
        Regex::new(&self.source).map(drop).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            error => error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        })
    }

    pub(super) fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| Regex::new(&self.source).ok()).as_ref()
    }

    fn is_match(&self, text: &str) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(text))
    }

    /// What matched, and the text after it.
    fn split<'t>(&self, text: &'t str) -> Option<(Captures<'t>, &'t str)> {
        let captures = self.regex()?.captures(text)?;
        let rest = text.get(captures.get(0)?.end()..)?;
        Some((captures, rest))
    }
}
