//! People with their features, as `profile` and `profiles` show them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use common::{Clock as _, Identifier};
use serde::Serialize;
use stores::{Features, PersonFeatures, PersonView};
use worker::SystemClock;

/// A person as JSON shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    profile_id: String,
    brand_id: String,
    origins: Vec<String>,
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) features: PersonFeatures,
}

impl Shown {
    /// The person's id.
    pub(crate) fn id(&self) -> &str {
        &self.profile_id
    }

    /// Whose customer the person is.
    pub(crate) fn brand(&self) -> &str {
        &self.brand_id
    }
}

/// Reads the features of people.
pub(crate) async fn with_features(
    features: &Features,
    people: Vec<PersonView>,
) -> anyhow::Result<Vec<Shown>> {
    let origins: BTreeMap<_, _> = people
        .iter()
        .map(|person| (person.profile_id, person.origins.clone()))
        .collect();
    let mut all = features
        .of_people(&origins, SystemClock.now())
        .await
        .context("reading features")?;
    let shown = people.into_iter().map(|person| Shown {
        profile_id: person.profile_id.to_string(),
        brand_id: person.brand_id.to_string(),
        origins: person.origins.iter().map(ToString::to_string).collect(),
        identifiers: person.identifiers,
        features: all.remove(&person.profile_id).unwrap_or_default(),
    });
    Ok(shown.collect())
}

/// An amount for people: `1,234.50 USD`, by the currency's minor unit where it is known.
pub(crate) fn money(amount_minor: i64, currency: &str) -> String {
    let digits = iso_currency::Currency::from_code(currency)
        .and_then(iso_currency::Currency::exponent)
        .map_or(2, usize::from);
    let sign = if amount_minor < 0 { "-" } else { "" };
    let text = format!(
        "{:0>width$}",
        amount_minor.unsigned_abs(),
        width = digits + 1
    );
    let (whole, cents) = text.split_at(text.len() - digits);
    let whole = crate::output::grouped(whole.parse().unwrap_or(0));
    let point = if digits == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{cents} {currency}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_show_the_minor_unit_of_their_currency() {
        for (amount, currency, expected) in [
            (2_933, "USD", "29.33 USD"),
            (5, "USD", "0.05 USD"),
            (-123_456_789, "EUR", "-1,234,567.89 EUR"),
            (1_500, "JPY", "1,500 JPY"),
            (1_234, "BHD", "1.234 BHD"),
        ] {
            assert_eq!(money(amount, currency), expected);
        }
    }
}
