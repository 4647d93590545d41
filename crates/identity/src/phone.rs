//! The normal form of a phone or WhatsApp number: E.164, such as `+5511987654321`.
//!
//! Candidates come from the number as it stands, from the national rules of the phone library and
//! from international prefixes; the first that a numbering plan assigns is the number. The
//! library alone would do worse: it strips a national prefix twice (`8 800 555 35 35` in Russia)
//! and reads `00 1 415…` under the rules of the caller's country.

mod legacy;
mod plan;

use unicode_normalization::UnicodeNormalization;

use crate::screen::is_invisible;
use crate::{NotAnIdentifier, Region};

/// The fewest and most digits that are worth a look. Niue has national numbers of 4; E.164 has at
/// most 15, and the prefixes of a carrier and of the way abroad come before them.
const DIGITS_MIN: usize = 4;
const DIGITS_MAX: usize = 22;

/// Universal international prefix. In some plans it is not the first thing the rules would try:
/// in Brazil `0055` is also "abroad, by carrier 55".
const INTERNATIONAL_PREFIX: &str = "00";

/// Schemes that may stand before a number.
const SCHEMES: [&str; 2] = ["tel:", "whatsapp:"];

/// The zeros of the scripts whose decimal digits NFKC keeps: Arabic, Persian, Devanagari, Bengali.
const ZEROS: [char; 4] = ['\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}'];

/// Reads a number with `+`, or without it under the rules of a region.
pub(crate) fn normal_form(text: &str, region: Option<Region>) -> Result<String, NotAnIdentifier> {
    let dialled = Dialled::read(text).ok_or(NotAnIdentifier::InvalidPhone)?;
    let number = match (dialled.has_plus, region) {
        (true, _) => international(&dialled.digits),
        (false, Some(region)) => national(&dialled.digits, region),
        (false, None) => return Err(NotAnIdentifier::PhoneWithoutCountry),
    };
    number.ok_or(NotAnIdentifier::InvalidPhone)
}

/// Like [`normal_form`], but digits alone are E.164 without `+`, as in a `wa_id`.
pub(crate) fn whatsapp(text: &str, region: Option<Region>) -> Result<String, NotAnIdentifier> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return normal_form(&format!("+{text}"), None);
    }
    normal_form(text, region)
}

/// A number as people write it, without decoration.
struct Dialled {
    has_plus: bool,
    digits: String,
}

impl Dialled {
    /// Letters, `*`, `#` and extensions make a text something else than one person's number.
    fn read(text: &str) -> Option<Self> {
        let text: String = text.chars().filter(|c| !is_invisible(*c)).nfkc().collect();
        let mut dialled = Self {
            has_plus: false,
            digits: String::new(),
        };
        for character in without_scheme(text.trim()).chars() {
            if let Some(digit) = decimal_digit(character) {
                dialled.digits.push(digit);
            } else if character == '+' && dialled.digits.is_empty() {
                dialled.has_plus = true;
            } else if !is_separator(character) {
                return None;
            }
        }
        let length = dialled.digits.len();
        (DIGITS_MIN..=DIGITS_MAX)
            .contains(&length)
            .then_some(dialled)
    }
}

fn without_scheme(text: &str) -> &str {
    SCHEMES
        .iter()
        .find_map(|scheme| {
            let head = text.get(..scheme.len())?;
            let tail = text.get(scheme.len()..)?;
            head.eq_ignore_ascii_case(scheme).then_some(tail)
        })
        .unwrap_or(text)
}

fn decimal_digit(character: char) -> Option<char> {
    if character.is_ascii_digit() {
        return Some(character);
    }
    ZEROS.iter().find_map(|zero| {
        let value = u32::from(character).checked_sub(u32::from(*zero))?;
        char::from_digit(value, 10)
    })
}

fn is_separator(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '-' | '.' | '/' | '(' | ')' | '[' | ']')
        || matches!(character, '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// The number of digits that begin with a country's calling code. A national prefix after it, as
/// in `+44 (0)20 7946 0958`, is dropped.
fn international(digits: &str) -> Option<String> {
    canonical(digits).or_else(|| by_library(None, &format!("+{digits}")))
}

fn national(digits: &str, region: Region) -> Option<String> {
    let plan = region.plan()?;
    let code = plan.country_code().to_string();
    let after_prefix = || digits.strip_prefix(INTERNATIONAL_PREFIX);
    let after_own_prefix = || {
        let found = plan.international_prefix()?.find(digits)?;
        (found.start() == 0).then(|| digits.get(found.end()..))?
    };
    let after_trunk = || digits.strip_prefix(plan.national_prefix()?);
    let after_code = || digits.strip_prefix(code.as_str());

    after_prefix()
        .and_then(international)
        .or_else(|| after_own_prefix().and_then(international))
        .or_else(|| canonical(&format!("{code}{digits}")))
        .or_else(|| after_trunk().and_then(|rest| canonical(&format!("{code}{rest}"))))
        .or_else(|| by_library(Some(region), digits))
        .or_else(|| after_code().and_then(|_| international(digits)))
}

/// What the phone library makes of a number: carrier codes, national prefixes and their rewriting.
fn by_library(region: Option<Region>, text: &str) -> Option<String> {
    let number = phonenumber::parse(region.map(Region::id), text).ok()?;
    canonical(&format!("{}{}", number.code().value(), number.national()))
}

/// The current form of calling code and national number, if a plan assigns it.
fn canonical(digits: &str) -> Option<String> {
    let current = legacy::current_form(digits);
    let is_assigned =
        plan::assigns(&current) || legacy::mobile_form(&current).is_some_and(|m| plan::assigns(&m));
    is_assigned.then(|| format!("+{current}"))
}

#[cfg(test)]
mod tests;
