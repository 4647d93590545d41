//! Counts and revenue of a brand over time.

use common::{BrandId, UnixMillis};
use sqlx::Row as _;

use crate::error::StoreError;
use crate::sql::Database;

/// The length of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Grain {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// A UTC day.
    Day,
}

impl Grain {
    /// The name in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// The events of one type and currency in one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// When it begins.
    pub start: UnixMillis,
    /// What happened.
    pub event_type: String,
    /// ISO 4217; empty for events that are no purchases.
    pub currency: String,
    /// How often.
    pub events: i64,
    /// Revenue, in minor units.
    pub amount_minor: i64,
}

/// Which buckets are asked for.
#[derive(Debug, Clone)]
pub struct BucketQuery {
    /// The brand.
    pub brand_id: BrandId,
    /// The length of the buckets.
    pub grain: Grain,
    /// Only this type.
    pub event_type: Option<String>,
    /// From here on.
    pub from: UnixMillis,
    /// Up to, and without, here.
    pub to: UnixMillis,
    /// At most so many.
    pub limit: u32,
}

/// The analytics of brands.
#[derive(Debug, Clone)]
pub struct Analytics {
    database: Database,
}

impl Analytics {
    /// The analytics in a database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Buckets in order of time.
    pub async fn buckets(&self, query: &BucketQuery) -> Result<Vec<Bucket>, StoreError> {
        let doing = "reading analytics";
        let rows = sqlx::query(
            "SELECT bucket_start, event_type, currency, events, amount_minor FROM brand_buckets \
             WHERE brand_id = $1 AND grain = $2 AND bucket_start >= $3 AND bucket_start < $4 \
                 AND ($5 = '' OR event_type = $5) \
             ORDER BY bucket_start, event_type, currency LIMIT $6",
        )
        .bind(query.brand_id.as_str())
        .bind(query.grain.as_str())
        .bind(query.from.0)
        .bind(query.to.0)
        .bind(query.event_type.as_deref().unwrap_or_default())
        .bind(i64::from(query.limit))
        .fetch_all(self.database.pool())
        .await
        .map_err(|error| StoreError::of(doing, error))?;
        let bucket = |row: sqlx::any::AnyRow| -> Result<Bucket, sqlx::Error> {
            Ok(Bucket {
                start: UnixMillis(row.try_get(0)?),
                event_type: row.try_get(1)?,
                currency: row.try_get(2)?,
                events: row.try_get(3)?,
                amount_minor: row.try_get(4)?,
            })
        };
        let buckets: Result<Vec<Bucket>, sqlx::Error> = rows.into_iter().map(bucket).collect();
        buckets.map_err(|error| StoreError::of(doing, error))
    }
}
