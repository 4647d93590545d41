//! The country whose numbering plan reads a phone number without `+`.

use std::fmt;
use std::str::FromStr;

use phonenumber::country::Id;
use phonenumber::metadata::{DATABASE, Metadata};

/// A country with a numbering plan, ISO 3166 alpha-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region(Id);

/// A text that is not the alpha-2 code of a country with a numbering plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown region; write an ISO 3166 alpha-2 code such as BR")]
pub struct UnknownRegion;

impl Region {
    pub(crate) fn id(self) -> Id {
        self.0
    }

    pub(crate) fn plan(self) -> Option<&'static Metadata> {
        DATABASE.by_id(self.0.as_ref())
    }
}

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        let id = text.trim().to_ascii_uppercase().parse();
        let region = id.map(Self).map_err(|_| UnknownRegion)?;
        // The phone library panics on a country without a plan, so none becomes a region.
        region.plan().ok_or(UnknownRegion)?;
        Ok(region)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_alpha_2_codes_in_any_case() {
        for (text, expected) in [
            ("BR", Some("BR")),
            ("br", Some("BR")),
            (" mX ", Some("MX")),
            ("BRA", None),
            ("Brazil", None),
            ("55", None),
            ("", None),
            ("ZZ", None),
            ("é", None),
        ] {
            let region = text.parse().ok().map(|region: Region| region.to_string());
            assert_eq!(region.as_deref(), expected, "{text:?}");
        }
    }
}
