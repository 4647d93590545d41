//! Sales of a brand, sent to the API as its clients do.

use std::ops::Range;
use std::time::Duration;

use anyhow::Result;
use tests::{Sale, Sender};

use crate::mill::Source;

/// Buyers of a brand; few, so that their rows are fought over.
const BUYERS: u64 = 37;
/// How long one request is repeated: longer than any fault.
const PATIENCE: Duration = Duration::from_mins(3);

/// Sends sales of one brand.
#[derive(Debug)]
pub(crate) struct Sales {
    pub(super) brand: String,
    pub(super) sender: Sender,
}

impl Sales {
    pub(super) fn of_brand(brand: &str, apis: &[String]) -> Self {
        Self {
            brand: brand.to_owned(),
            sender: Sender::to_any(apis, brand, PATIENCE),
        }
    }
}

impl Source for Sales {
    const BATCH: u64 = 25;
    /// Each sale has a minute of January of its own.
    const MOST: u64 = 31 * 24 * 60;

    fn send(&mut self, numbers: Range<u64>) -> Result<()> {
        let sales: Vec<Sale> = numbers.map(sale).collect();
        self.sender.send(&sales)
    }

    fn accepted(&self) -> i64 {
        self.sender.ledger.len()
    }
}

/// The sale of that number.
pub(crate) fn sale(number: u64) -> Sale {
    let (day, minute) = (number / 1_440, number % 1_440);
    Sale {
        event_id: format!("sale-{number}"),
        user_id: format!("buyer-{}", number * 31 % BUYERS),
        timestamp: format!(
            "2026-01-{:02}T{:02}:{:02}:00Z",
            1 + day,
            minute / 60,
            minute % 60
        ),
        cents: i64::try_from(number % 10_000).unwrap_or(0),
    }
}
