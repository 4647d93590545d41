//! `millrace profile`: one person.

use std::process::ExitCode;

use anyhow::Context as _;
use common::{BrandId, ProfileId};
use identity::Region;
use stores::{Features, IdentifierKey, PersonView, Profiles, SqlSettings};
use worker::ConfigError;

use crate::output::{Column, Output, note};
use crate::people::{Shown, money, with_features};

const COLUMNS: &[Column] = &[Column::left("what"), Column::left("value")];

/// Show one person: identifiers and features
#[derive(Debug, clap::Args)]
pub(crate) struct Profile {
    /// The id of any of the person's profiles, or an identifier such as email:ann@example.com
    #[arg(value_name = "ID|TYPE:VALUE")]
    who: String,
    /// The brand of an identifier
    #[arg(long, env = "BRAND")]
    brand: Option<String>,
    /// Country of a telephone number without one, as ISO 3166 alpha-2 such as DE
    #[arg(long, env = "DEFAULT_REGION")]
    default_region: Option<Region>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sql: SqlSettings,
}

impl Profile {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let database = self.sql.open()?;
        let found = self.find(&Profiles::new(database.clone())).await?;
        let Some(person) = found else {
            note(&format!("millrace: nobody is known as {}", self.who));
            return Ok(ExitCode::FAILURE);
        };
        let shown = with_features(&Features::new(database), vec![person]).await?;
        let mut output = Output::stdout();
        for person in shown {
            if self.json {
                output.json(&person)?;
            } else {
                output.table(COLUMNS, rows(&person))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn find(&self, profiles: &Profiles) -> anyhow::Result<Option<PersonView>> {
        if let Ok(id) = self.who.parse::<ProfileId>() {
            return profiles.person(id).await.context("looking up the profile");
        }
        let identifier = identity::parse(&self.who, self.default_region)
            .map_err(|error| ConfigError(format!("{}: {error}", self.who)))?;
        let brand = self.brand.clone().unwrap_or_default();
        let brand_id = BrandId::new(brand).map_err(|error| {
            ConfigError(format!(
                "BRAND (--brand): {error}; an identifier belongs to a brand"
            ))
        })?;
        let key = IdentifierKey {
            brand_id,
            identifier,
        };
        profiles
            .find(&key)
            .await
            .context("looking up the identifier")
    }
}

fn rows(person: &Shown) -> Vec<Vec<String>> {
    let row = |what: &str, value: &str| vec![what.to_owned(), value.to_owned()];
    let features = &person.features;
    let moment = |at: &Option<String>| at.clone().unwrap_or_else(|| "never".to_owned());
    let mut rows = vec![row("profile", person.id()), row("brand", person.brand())];
    rows.extend(
        person
            .identifiers
            .iter()
            .map(|known| row("identifier", &known.to_string())),
    );
    rows.extend([
        row("first seen", &moment(&features.first_seen)),
        row("last seen", &moment(&features.last_seen)),
        row("last purchase", &moment(&features.last_purchase)),
        row("orders", &features.orders.to_string()),
        row("repeat orders", &features.repeat_orders.to_string()),
        row("purchase days", &features.purchase_days.to_string()),
    ]);
    for revenue in &features.revenue {
        let average = money(revenue.average_order_minor, &revenue.currency);
        let total = money(revenue.amount_minor, &revenue.currency);
        rows.push(row(
            "revenue",
            &format!("{total} in {} orders, {average} each", revenue.orders),
        ));
    }
    for (kind, events) in &features.events_by_type {
        rows.push(row(&format!("events: {kind}"), &events.to_string()));
    }
    for (window, sums) in &features.windows {
        let text = format!("{} events, {} orders", sums.events, sums.orders);
        rows.push(row(&format!("last {window}"), &text));
    }
    rows
}
