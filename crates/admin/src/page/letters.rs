//! Dead letters for people: how many there are, and a plain list with their reasons.

use axum::extract::{Path, Query, State};
use axum::response::Html;
use bus::{DeadLetter, TopicOverview};
use maud::{Markup, html};
use serde::Deserialize;
use worker::http::Problem;

use super::document;
use super::words::{beginning, number};
use crate::api::Api;
use crate::dead_letters::page;
use crate::params;

/// Letters on a page.
const PAGE: usize = 25;
/// Bytes of a value that are shown, and of an error.
const VALUE_BYTES_MAX: usize = 500;
/// Fields of a message that are shown.
const FIELDS_MAX: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LettersQuery {
    start_id: Option<String>,
}

/// How many letters each stream has, with links to them.
pub(super) fn counts(topics: &[TopicOverview]) -> Markup {
    let with_letters = |topic: &&TopicOverview| {
        topic.dead_letters + topic.redriven + topic.discarded + topic.expired > 0
    };
    let topics: Vec<&TopicOverview> = topics.iter().filter(with_letters).collect();
    html! {
        section aria-labelledby="dead-letters" {
            h2 #dead-letters { "Dead letters" }
            @if topics.is_empty() {
                p .quiet { "There are none, and there never were." }
            } @else {
                table role="table" {
                    thead role="rowgroup" {
                        tr role="row" {
                            th scope="col" role="columnheader" { "Stream" }
                            th scope="col" role="columnheader" .number { "Waiting" }
                            th scope="col" role="columnheader" .number { "Redriven" }
                            th scope="col" role="columnheader" .number { "Discarded" }
                            th scope="col" role="columnheader" .number { "Expired" }
                        }
                    }
                    tbody role="rowgroup" {
                        @for topic in topics { (row(topic)) }
                    }
                }
            }
        }
    }
}

fn row(topic: &TopicOverview) -> Markup {
    let cell = |label: &str, count: u64| {
        html! { td role="cell" .number data-label=(label) { (number(count)) } }
    };
    html! {
        tr role="row" {
            th scope="row" role="rowheader" {
                a href={ "/dead-letters/" (topic.name) } { (topic.name) }
            }
            td role="cell" .number .warn[topic.dead_letters > 0] data-label="Waiting" {
                (number(topic.dead_letters))
            }
            (cell("Redriven", topic.redriven))
            (cell("Discarded", topic.discarded))
            (cell("Expired", topic.expired))
        }
    }
}

/// `GET /dead-letters/{topic}?startId=0`: the letters of a topic, oldest first.
pub(crate) async fn dead_letters(
    State(api): State<Api>,
    Path(topic): Path<String>,
    Query(query): Query<LettersQuery>,
) -> Result<Html<String>, Problem> {
    let topic = params::topic(&topic)?;
    let from = params::message_id("startId", query.start_id.as_deref())?;
    let (letters, next) = page(&api, topic, from, PAGE).await?;
    let content = html! {
        section aria-labelledby="letters" {
            h2 #letters { "Dead letters of " (topic.name) ", oldest first" }
            @if letters.is_empty() { p .quiet { "There are none here." } }
            @for letter in &letters { (article(letter)) }
            @if let Some(next) = next {
                p { a href={ "/dead-letters/" (topic.name) "?startId=" (next) } { "Later ones" } }
            }
            p {
                "To publish them again or to remove them, POST " code { "{\"ids\": […]}" } " to "
                code { "/api/dead-letters/" (topic.name) "/redrive" } " or "
                code { "…/discard" } "."
            }
        }
    };
    let now = api.clock.now().to_string();
    let footer = html! {
        a href="/" { "Overview" } ". As of " time datetime=(now) { (now) } "."
    };
    Ok(document("Dead letters", false, &content, &footer))
}

fn article(letter: &DeadLetter) -> Markup {
    let shown = |bytes: &[u8]| beginning(&String::from_utf8_lossy(bytes), VALUE_BYTES_MAX);
    html! {
        article {
            h3 { (letter.reason) " " code { (letter.id) } }
            p { (beginning(&letter.error, VALUE_BYTES_MAX)) }
            dl {
                dt { "Given up" } dd { (letter.failed_at) " by " (letter.group) ", " (letter.worker) }
                dt { "First failure" } dd { (letter.first_failed_at) }
                dt { "Deliveries" } dd { (letter.attempts) }
                @if let Some(id) = letter.source_id { dt { "It was" } dd { code { (id) } } }
                @if let Some(part) = &letter.part { dt { "Part" } dd { (part) } }
            }
            details {
                summary { "The message: " (letter.fields.0.len()) " fields" }
                dl .fields {
                    @for (name, value) in letter.fields.0.iter().take(FIELDS_MAX) {
                        dt { (shown(name)) } dd { code { (shown(value)) } }
                    }
                }
            }
        }
    }
}
