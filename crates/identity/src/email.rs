//! The normal form of an e-mail address.

use email_address::{EmailAddress, Options};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization;

use crate::NotAnIdentifier;
use crate::screen::is_invisible;

const SCHEME: &str = "mailto:";

/// `local@domain` in lower case, the domain in ASCII. Dots and `+tag` stay: whether they matter is
/// the mail server's secret.
pub(crate) fn normal_form(text: &str) -> Result<String, NotAnIdentifier> {
    let folded: String = text.chars().filter(|c| !is_invisible(*c)).nfkc().collect();
    let (local, domain) = bare_address(&folded)
        .rsplit_once('@')
        .ok_or(NotAnIdentifier::InvalidEmail)?;
    let local: String = local.to_lowercase().nfkc().collect();
    let domain = ascii_domain(domain).ok_or(NotAnIdentifier::InvalidEmail)?;
    let address = format!("{local}@{domain}");
    let options = Options::default()
        .with_required_tld()
        .without_domain_literal()
        .without_display_text();
    EmailAddress::parse_with_options(&address, options)
        .map_err(|_| NotAnIdentifier::InvalidEmail)?;
    Ok(address)
}

/// Takes the address out of `Ann <ann@x.org>`, `<ann@x.org>` and `mailto:ann@x.org?subject=hello`.
fn bare_address(text: &str) -> &str {
    let bracketed = text.trim().strip_suffix('>');
    let text = bracketed
        .and_then(|text| text.rsplit_once('<'))
        .map_or(text, |(_, inside)| inside)
        .trim();
    let (Some(head), Some(tail)) = (text.get(..SCHEME.len()), text.get(SCHEME.len()..)) else {
        return text;
    };
    if !head.eq_ignore_ascii_case(SCHEME) {
        return text;
    }
    let address = tail.split_once('?').map_or(tail, |(address, _)| address);
    address.trim()
}

/// UTS 46 to ASCII. A last label of digits only is an IPv4 address, which is no mail domain.
fn ascii_domain(domain: &str) -> Option<String> {
    let ascii = Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::VerifyAllowRootDot,
        )
        .ok()?;
    let domain = ascii.strip_suffix('.').unwrap_or(&ascii);
    let (_, last) = domain.rsplit_once('.')?;
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    (!is_number).then(|| domain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cases: &[(&str, Option<&str>)]) {
        for (raw, expected) in cases {
            let expected = expected
                .map(str::to_owned)
                .ok_or(NotAnIdentifier::InvalidEmail);
            assert_eq!(normal_form(raw), expected, "{raw:?}");
        }
    }

    #[test]
    fn one_mailbox_has_one_normal_form() {
        check(&[
            ("ann@example.com", Some("ann@example.com")),
            ("Ann@Example.COM", Some("ann@example.com")),
            ("<ann@example.com>", Some("ann@example.com")),
            ("mailto:ann@example.com", Some("ann@example.com")),
            ("MailTo: ann@example.com", Some("ann@example.com")),
            ("<mailto:ann@example.com>", Some("ann@example.com")),
            ("mailto:ann@example.com?subject=hi", Some("ann@example.com")),
            ("Ann Lee <ann@example.com>", Some("ann@example.com")),
            ("\"Lee, Ann\" <Ann@example.com> ", Some("ann@example.com")),
            ("ann@example.com.", Some("ann@example.com")),
            ("ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ", Some("ann@example.com")),
            ("\u{feff}ann@example.com\u{200b}", Some("ann@example.com")),
        ]);
    }

    #[test]
    fn dots_and_tags_stay() {
        check(&[
            ("a.n.n@gmail.com", Some("a.n.n@gmail.com")),
            ("Ann+Shop@gmail.com", Some("ann+shop@gmail.com")),
            ("o'neil_1-2@x.org", Some("o'neil_1-2@x.org")),
        ]);
    }

    #[test]
    fn international_addresses_have_an_ascii_domain() {
        check(&[
            ("ann@Bücher.de", Some("ann@xn--bcher-kva.de")),
            ("ann@bu\u{308}cher.de", Some("ann@xn--bcher-kva.de")),
            ("ann@XN--BCHER-KVA.de", Some("ann@xn--bcher-kva.de")),
            ("ann@例え。テスト", Some("ann@xn--r8jz45g.xn--zckzah")),
            ("JOSÉ@x.org", Some("josé@x.org")),
            ("jose\u{301}@x.org", Some("josé@x.org")),
        ]);
    }

    #[test]
    fn texts_that_are_no_address_are_refused() {
        let long_local = format!("{}@x.org", "a".repeat(65));
        check(&[
            ("ann", None),
            ("@example.com", None),
            ("ann@", None),
            ("ann@localhost", None),
            ("ann@example", None),
            ("ann@.com", None),
            ("ann@x..org", None),
            ("ann@-x.org", None),
            ("ann@x_y.org", None),
            ("ann@[127.0.0.1]", None),
            ("ann@127.0.0.1", None),
            ("ann lee@x.org", None),
            (".ann@x.org", None),
            ("ann..lee@x.org", None),
            ("ann@x.org, bob@x.org", None),
            ("ann@bob@x.org", None),
            ("ann@x.org>", None),
            ("mailto:", None),
            ("undefined@undefined", None),
            ("+5511987654321", None),
            (&long_local, None),
        ]);
    }
}
