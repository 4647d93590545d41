//! `millrace analytics`: counts and revenue of a brand over time.

use std::process::ExitCode;

use anyhow::Context as _;
use common::{BrandId, UnixMillis};
use serde_json::json;
use stores::{Analytics, Bucket, BucketQuery, Grain, SqlSettings};

use crate::output::{Column, Output, grouped, note};
use crate::people::money;
use crate::profiles::parse_brand;

const COLUMNS: &[Column] = &[
    Column::left("from"),
    Column::left("event type"),
    Column::right("events"),
    Column::right("revenue"),
];
const CSV: [&str; 5] = [
    "bucket_start",
    "event_type",
    "currency",
    "events",
    "amount_minor",
];

/// Show counts and revenue of a brand per minute, hour or day
#[derive(Debug, clap::Args)]
pub(crate) struct ShowAnalytics {
    /// The brand
    #[arg(long, env = "BRAND", value_parser = parse_brand)]
    brand: BrandId,
    /// The length of a bucket
    #[arg(long, value_enum, default_value = "day")]
    grain: Grain,
    /// Only events of this type
    #[arg(long)]
    event_type: Option<String>,
    /// From this RFC 3339 time stamp on
    #[arg(long, default_value = "1970-01-01T00:00:00Z")]
    from: UnixMillis,
    /// Up to this RFC 3339 time stamp
    #[arg(long, default_value = "9999-01-01T00:00:00Z")]
    to: UnixMillis,
    /// At most so many buckets; all without it
    #[arg(long)]
    limit: Option<u32>,
    /// Print a JSON object for each bucket
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    sql: SqlSettings,
}

impl ShowAnalytics {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let query = BucketQuery {
            brand_id: self.brand,
            grain: self.grain,
            event_type: self.event_type,
            from: self.from,
            to: self.to,
            limit: self.limit.unwrap_or(u32::MAX),
        };
        let analytics = Analytics::new(self.sql.open()?);
        let buckets = analytics
            .buckets(&query)
            .await
            .context("reading analytics")?;
        let mut output = Output::stdout();
        if self.json {
            buckets
                .iter()
                .try_for_each(|bucket| output.json(&json_of(bucket)))?;
        } else if self.csv {
            output.csv(CSV)?;
            buckets
                .iter()
                .try_for_each(|bucket| output.csv(csv_of(bucket)))?;
        } else {
            output.table(
                COLUMNS,
                buckets.iter().map(|bucket| row_of(bucket, query.grain)),
            )?;
        }
        if buckets.is_empty() {
            note(&format!(
                "millrace: brand {} has no events there",
                query.brand_id
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn json_of(bucket: &Bucket) -> serde_json::Value {
    json!({
        "bucket_start": bucket.start.to_string(),
        "event_type": bucket.event_type,
        "currency": bucket.currency,
        "events": bucket.events,
        "amount_minor": bucket.amount_minor,
    })
}

fn csv_of(bucket: &Bucket) -> [String; 5] {
    [
        bucket.start.to_string(),
        bucket.event_type.clone(),
        bucket.currency.clone(),
        bucket.events.to_string(),
        bucket.amount_minor.to_string(),
    ]
}

fn row_of(bucket: &Bucket, grain: Grain) -> Vec<String> {
    let start = bucket.start.to_string();
    let shown = match grain {
        Grain::Day => start.get(..10),
        Grain::Hour | Grain::Minute => start.get(..16),
    };
    let revenue = if bucket.currency.is_empty() {
        String::new()
    } else {
        money(bucket.amount_minor, &bucket.currency)
    };
    vec![
        shown.unwrap_or(&start).to_owned(),
        bucket.event_type.clone(),
        grouped(u64::try_from(bucket.events).unwrap_or(0)),
        revenue,
    ]
}
