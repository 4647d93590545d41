//! Which numbers the numbering plans assign.

use phonenumber::metadata::{DATABASE, Descriptor, Descriptors, Metadata};

/// The most digits of a calling code.
const CODE_DIGITS_MAX: usize = 3;

/// Whether digits are a calling code and a number of any kind (mobile, fixed, toll-free…) that
/// exists under it.
///
/// The library's own `is_valid` matches the start of a number only, and takes the first region of
/// a shared code; this asks every region for the whole number.
pub(super) fn assigns(digits: &str) -> bool {
    (1..=CODE_DIGITS_MAX).any(|length| {
        let Some((code, national)) = digits.split_at_checked(length) else {
            return false;
        };
        let plans = code
            .parse()
            .ok()
            .and_then(|code: u16| DATABASE.by_code(&code));
        plans.is_some_and(|plans| {
            !code.starts_with('0') && plans.iter().any(|plan| lists(plan, national))
        })
    })
}

fn lists(plan: &Metadata, national: &str) -> bool {
    let descriptors = plan.descriptors();
    let is_possible = descriptors.general().is_match(national);
    is_possible
        && kinds(descriptors)
            .into_iter()
            .flatten()
            .any(|kind| is_whole(kind, national))
}

/// The kinds of numbers that can be called from anywhere; short codes are not among them.
fn kinds(descriptors: &Descriptors) -> [Option<&Descriptor>; 10] {
    [
        descriptors.mobile(),
        descriptors.fixed_line(),
        descriptors.voip(),
        descriptors.toll_free(),
        descriptors.premium_rate(),
        descriptors.shared_cost(),
        descriptors.personal_number(),
        descriptors.pager(),
        descriptors.uan(),
        descriptors.voicemail(),
    ]
}

fn is_whole(kind: &Descriptor, national: &str) -> bool {
    if !kind.is_match(national) {
        return false;
    }
    let pattern = kind.national_number();
    let end = pattern.find(national).map(|found| found.end());
    end == Some(national.len()) || matches_anchored(pattern.as_str(), national)
}

/// Some patterns have a shorter alternative first (Myanmar, Zimbabwe); anchored, they match to the
/// end. Rare, and the library's cache keeps what it compiled.
fn matches_anchored(pattern: &str, national: &str) -> bool {
    let cache = DATABASE.cache();
    let Ok(mut cache) = cache.lock() else {
        return false;
    };
    cache
        .compile(&format!("(?x)\\A(?:{pattern})\\z"))
        .is_ok_and(|whole| whole.is_match(national))
}
