//! `millrace profiles`: the people of a brand.

use std::process::ExitCode;

use anyhow::Context as _;
use common::{BrandId, IdentifierType, ProfileId};
use stores::{Features, Profiles, Revenue, SqlSettings};

use crate::output::{Column, Output, note};
use crate::people::{Shown, money, with_features};

/// People that are read together.
const PAGE: u32 = 500;

const COLUMNS: &[Column] = &[
    Column::left("profile"),
    Column::left("identifier"),
    Column::right("orders"),
    Column::right("purchase days"),
    Column::right("revenue"),
    Column::right("average order"),
    Column::left("last purchase"),
];
const CSV: [&str; 6] = [
    "profile_id",
    "user_id",
    "orders",
    "purchase_days",
    "revenue_minor",
    "currency",
];

/// List the people of a brand with their features
#[derive(Debug, clap::Args)]
pub(crate) struct ListProfiles {
    /// The brand
    #[arg(long, env = "BRAND", value_parser = parse_brand)]
    brand: BrandId,
    /// At most so many; all without it
    #[arg(long)]
    limit: Option<u32>,
    /// Print a JSON object for each person
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV, a row for each person and currency
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    sql: SqlSettings,
}

/// A brand id, or what is wrong with it.
pub(crate) fn parse_brand(text: &str) -> Result<BrandId, String> {
    BrandId::new(text).map_err(|error| error.to_string())
}

impl ListProfiles {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let database = self.sql.open()?;
        let (profiles, features) = (Profiles::new(database.clone()), Features::new(database));
        let mut output = Output::stdout();
        if self.csv {
            output.csv(CSV)?;
        }
        let mut left = self.limit.unwrap_or(u32::MAX);
        let mut after: Option<ProfileId> = None;
        let mut table: Vec<Vec<String>> = Vec::new();
        while left > 0 {
            let page = profiles.list(&self.brand, after, PAGE.min(left)).await;
            let page = page.context("listing profiles")?;
            let Some(last) = page.last() else { break };
            after = Some(last.profile_id);
            left -= u32::try_from(page.len())?.min(left);
            for person in with_features(&features, page).await? {
                if self.json {
                    output.json(&person)?;
                } else if self.csv {
                    for row in csv_rows(&person) {
                        output.csv(row)?;
                    }
                } else {
                    table.push(table_row(&person));
                }
            }
        }
        if !self.json && !self.csv {
            output.table(COLUMNS, table)?;
        }
        if after.is_none() {
            note(&format!("millrace: brand {} has no profiles", self.brand));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn csv_rows(person: &Shown) -> Vec<Vec<String>> {
    let user = person
        .identifiers
        .iter()
        .find(|known| known.kind == IdentifierType::UserId);
    let user = user.map(|known| known.value.clone()).unwrap_or_default();
    let features = &person.features;
    let none = [Revenue::default()];
    let revenue = if features.revenue.is_empty() {
        &none[..]
    } else {
        &features.revenue
    };
    let row = |revenue: &Revenue| {
        vec![
            person.id().to_owned(),
            user.clone(),
            revenue.orders.to_string(),
            features.purchase_days.to_string(),
            revenue.amount_minor.to_string(),
            revenue.currency.clone(),
        ]
    };
    revenue.iter().map(row).collect()
}

fn table_row(person: &Shown) -> Vec<String> {
    let features = &person.features;
    let each = |amount: fn(&Revenue) -> i64| -> String {
        let texts = features
            .revenue
            .iter()
            .map(|r| money(amount(r), &r.currency));
        texts.collect::<Vec<_>>().join(", ")
    };
    let day = features
        .last_purchase
        .as_deref()
        .and_then(|at| at.get(..10));
    vec![
        person.id().to_owned(),
        person
            .identifiers
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
        features.orders.to_string(),
        features.purchase_days.to_string(),
        each(|revenue| revenue.amount_minor),
        each(|revenue| revenue.average_order_minor),
        day.unwrap_or("never").to_owned(),
    ]
}
