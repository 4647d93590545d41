//! Numbers that have two forms in use, and the form that stands for both.

use std::borrow::Cow;

/// Turns a known old or doubled form into the one that identifies the line; digits without `+`.
///
/// - Brazil: mobile numbers got a leading 9 from 2012 to 2016; WhatsApp ids of older accounts lack
///   it. The 9 is added.
/// - Mexico: `52 1` before mobile numbers ended in 2019; WhatsApp ids still have it. The 1 goes.
/// - Argentina: `54 9` before mobile numbers is in WhatsApp ids and not in most address books. The
///   same ten digits are never both a mobile and a fixed line, so the 9 can go, while adding it
///   would need to know which one they are.
pub(super) fn current_form(digits: &str) -> Cow<'_, str> {
    if let Some(national) = digits.strip_prefix("55")
        && let Some((area, subscriber)) = national.split_at_checked(2)
        && subscriber.len() == 8
        && subscriber.starts_with(['6', '7', '8', '9'])
    {
        return Cow::Owned(format!("55{area}9{subscriber}"));
    }
    for (old, code) in [("521", "52"), ("549", "54")] {
        if let Some(national) = digits.strip_prefix(old)
            && national.len() == 10
        {
            return Cow::Owned(format!("{code}{national}"));
        }
    }
    Cow::Borrowed(digits)
}

/// The form of an Argentine number that the numbering plan lists when it is a mobile.
pub(super) fn mobile_form(current: &str) -> Option<String> {
    let national = current.strip_prefix("54")?;
    (national.len() == 10).then(|| format!("549{national}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_forms_become_the_current_one() {
        for (digits, expected) in [
            ("551187654321", "5511987654321"),
            ("5511987654321", "5511987654321"),
            ("552178654321", "5521978654321"),
            ("551132654321", "551132654321"),
            ("5215512345678", "525512345678"),
            ("525512345678", "525512345678"),
            ("5491123456789", "541123456789"),
            ("541123456789", "541123456789"),
            ("5492236123456", "542236123456"),
            ("14155552671", "14155552671"),
            ("55", "55"),
            ("", ""),
        ] {
            assert_eq!(current_form(digits), expected, "{digits}");
            assert_eq!(current_form(expected), expected, "{digits}");
        }
    }
}
