//! Sending a batch until every event of it is answered.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Url};
use serde_json::value::RawValue;
use worker::{Backoff, ConfigError};

use super::answers::{EventResult, EventStatus, Meaning, Problem, Results, meaning, retry_after};
use super::batches::{Batch, body};
use super::event::{Event, Reject};
use super::order::Answered;
use crate::bounded_lines::count;
use crate::service::Service;
use crate::{duration, http};

const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long the service may take for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The waits between attempts, from and to, when the service names none.
const RETRY_WAIT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Sends batches to the service.
#[derive(Debug)]
pub(crate) struct Poster {
    client: Client,
    url: Url,
    authorization: Option<HeaderValue>,
    give_up_after: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last_answer: Instant,
    /// Why nothing moves, if nothing moves.
    trouble: Option<String>,
    /// Requests that were sent again because they got no answer that settles them.
    repeats: u64,
}

/// What came of one attempt.
enum Attempt {
    Answered(Vec<EventResult>),
    Wrong(Problem),
    Later { why: String, wait: Option<Duration> },
}

impl Poster {
    /// Sends to a service.
    pub(crate) fn new(service: &Service, give_up_after: Duration) -> anyhow::Result<Self> {
        let mut url = service.url.clone();
        let path = url.path().trim_end_matches('/');
        url.set_path(&format!("{path}/v1/events"));
        let authorization = service.api_key().map(bearer).transpose()?;
        let client = http::client_for(&url)
            .connect_timeout(CONNECT_MAX)
            .timeout(ANSWER_MAX)
            .build()
            .context("setting up an HTTP client")?;
        let last_answer = Instant::now();
        let state = Mutex::new(State {
            last_answer,
            trouble: None,
            repeats: 0,
        });
        Ok(Self {
            client,
            url,
            authorization,
            give_up_after,
            state,
        })
    }

    /// Why nothing moves, if nothing moves.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.with_state(|state| state.trouble.clone())
    }

    /// Requests that were sent again so far.
    pub(crate) fn repeats(&self) -> u64 {
        self.with_state(|state| state.repeats)
    }

    /// Sends a batch until it is answered. An error is final.
    pub(crate) async fn post(&self, batch: Batch) -> anyhow::Result<Answered> {
        let mut answered = Answered {
            end: batch.end,
            rejects: batch.rejects,
            ..Answered::default()
        };
        answered.counts.rejected_locally = count(answered.rejects.len());
        let mut parts = vec![batch.events.as_slice()];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match (self.until_answered(part).await?, part) {
                (Ok(results), _) => {
                    for (event, result) in part.iter().zip(results) {
                        answered.book(event, result);
                    }
                }
                (Err(problem), [event]) => answered.book(event, problem.into()),
                (Err(_), _) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
        answered.rejects.sort_by_key(|reject| reject.line);
        Ok(answered)
    }

    /// The results of the events, or what is wrong with one of them.
    async fn until_answered(
        &self,
        events: &[Event],
    ) -> anyhow::Result<Result<Vec<EventResult>, Problem>> {
        let begun = Instant::now();
        let mut backoff = Backoff::new(RETRY_WAIT.0, RETRY_WAIT.1);
        loop {
            let (why, wait) = match self.attempt(events).await? {
                Attempt::Answered(results) => {
                    self.moved();
                    return Ok(Ok(results));
                }
                Attempt::Wrong(problem) => {
                    self.moved();
                    return Ok(Err(problem));
                }
                Attempt::Later { why, wait } => (why, wait),
            };
            let since = self.with_state(|state| state.last_answer.max(begun));
            let left = self.give_up_after.saturating_sub(since.elapsed());
            if left.is_zero() {
                let waited = duration::show(self.give_up_after);
                bail!("gave up after {waited} without an answer: {why}");
            }
            self.with_state(|state| {
                state.trouble = Some(why);
                state.repeats += 1;
            });
            let wait = wait.unwrap_or_else(|| backoff.advance());
            tokio::time::sleep(wait.min(left)).await;
        }
    }

    async fn attempt(&self, events: &[Event]) -> anyhow::Result<Attempt> {
        let mut request = self.client.post(self.url.clone());
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .body(body(events));
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Ok(self.no_answer(error)),
        };
        let status = response.status();
        let wait = retry_after(response.headers());
        let bytes = match response.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return Ok(self.no_answer(error)),
        };
        if meaning(status) == Meaning::Answered {
            let Results { results } = serde_json::from_slice(&bytes).with_context(|| {
                format!("{} answered {status}, but not as Millrace does", self.url)
            })?;
            if results.len() != events.len() {
                let (got, expected) = (results.len(), events.len());
                bail!("{} answered {got} results for {expected} events", self.url);
            }
            return Ok(Attempt::Answered(results));
        }
        let problem = Problem::of(status, &bytes);
        let Problem { code, detail } = &problem;
        match meaning(status) {
            Meaning::Halve => Ok(Attempt::Wrong(problem)),
            Meaning::Later => {
                let why = format!("{} answers {}, {code}: {detail}", self.url, status.as_u16());
                Ok(Attempt::Later { why, wait })
            }
            Meaning::Answered | Meaning::Refused => {
                let hint = match status.as_u16() {
                    401 | 403 => "; set --api-key or INGESTION_API_KEY",
                    _ => "",
                };
                bail!(
                    "{} refused, {}, {code}: {detail}{hint}",
                    self.url,
                    status.as_u16()
                );
            }
        }
    }

    fn no_answer(&self, error: reqwest::Error) -> Attempt {
        let error = anyhow::Error::from(error.without_url());
        let why = format!("{} does not answer: {error:#}", self.url);
        Attempt::Later { why, wait: None }
    }

    fn moved(&self) {
        self.with_state(|state| {
            state.last_answer = Instant::now();
            state.trouble = None;
        });
    }

    fn with_state<R>(&self, action: impl FnOnce(&mut State) -> R) -> R {
        action(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Answered {
    fn book(&mut self, event: &Event, result: EventResult) {
        match result.status {
            EventStatus::Accepted => self.counts.accepted += 1,
            EventStatus::Duplicate => self.counts.duplicate += 1,
            EventStatus::Rejected => {
                self.counts.rejected += 1;
                self.rejects.push(Reject {
                    line: event.line,
                    event_id: RawValue::from_string(event.id.clone()).ok(),
                    reason: result.reason,
                    message: result.message,
                });
            }
        }
    }
}

/// A request for one event that was wrong.
impl From<Problem> for EventResult {
    fn from(problem: Problem) -> Self {
        Self {
            status: EventStatus::Rejected,
            reason: problem.code,
            message: problem.detail,
        }
    }
}

fn bearer(key: &str) -> Result<HeaderValue, ConfigError> {
    let value = HeaderValue::from_str(&format!("Bearer {key}"));
    let mut value = value.map_err(|_| {
        ConfigError("INGESTION_API_KEY (--api-key): only visible characters are allowed".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}
