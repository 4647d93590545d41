//! A sender as the API asks for: it repeats a request until it is answered.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testkit::servers::{eventually, http_post};

use crate::ledger::{Ledger, Sale};

/// How long a request is repeated.
const GIVE_UP: Duration = Duration::from_mins(1);

/// Sends sales of a brand and notes what was accepted.
#[derive(Debug)]
pub struct Sender {
    apis: Vec<String>,
    patience: Duration,
    requests: usize,
    brand: String,
    /// What was accepted.
    pub ledger: Ledger,
    /// Answers by status.
    pub statuses: BTreeMap<String, u64>,
}

impl Sender {
    /// Sends to an API.
    pub fn new(api: &str, brand: &str) -> Self {
        Self::to_any(&[api.to_owned()], brand, GIVE_UP)
    }

    /// Sends to any of several APIs, and to the next when one does not answer.
    pub fn to_any(apis: &[String], brand: &str, patience: Duration) -> Self {
        Self {
            apis: apis.to_vec(),
            patience,
            requests: 0,
            brand: brand.to_owned(),
            ledger: Ledger::default(),
            statuses: BTreeMap::new(),
        }
    }

    /// Sends a batch until it is answered. After a request that got no answer the events may be
    /// there already: then they are answered as duplicates, and count as accepted once.
    pub fn send(&mut self, sales: &[Sale]) -> Result<()> {
        let events: Vec<String> = sales.iter().map(|sale| sale.json(&self.brand)).collect();
        let body = format!("{{\"batch\":[{}]}}", events.join(","));
        let mut unanswered = 0;
        let answer = eventually("the API to answer", self.patience, || {
            self.requests += 1;
            let api = self.apis.get(self.requests % self.apis.len().max(1))?;
            match http_post(api, "/v1/events", body.as_bytes()) {
                Ok(answer) if answer.status == 202 => Some(answer),
                Ok(_) | Err(_) => {
                    unanswered += 1;
                    None
                }
            }
        })?;
        let answer: Value = serde_json::from_str(&answer.body)?;
        let results = answer
            .get("results")
            .and_then(Value::as_array)
            .context("no results")?;
        ensure!(results.len() == sales.len(), "{} results", results.len());
        for (sale, result) in sales.iter().zip(results) {
            let status = result
                .get("status")
                .and_then(Value::as_str)
                .context("no status")?;
            *self.statuses.entry(status.to_owned()).or_default() += 1;
            let repeated = status == "duplicate" && unanswered > 0;
            if status == "accepted" || repeated {
                self.ledger.add(sale);
            }
        }
        Ok(())
    }
}
