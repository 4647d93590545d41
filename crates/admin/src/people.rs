//! Profiles and analytics.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use common::time::DAY_MS;
use common::{BrandId, EventType, ProfileId, UnixMillis};
use serde::Deserialize;
use serde_json::{Value, json};
use stores::{Bucket, BucketQuery, Grain, IdentifierKey, PersonView};
use worker::http::Problem;

use crate::api::Api;
use crate::problems::{bad_request, store_problem};

/// Buckets in an answer at most.
const BUCKETS_MAX: u32 = 10_000;
/// Days that unique profiles are counted over at most.
const UNIQUE_DAYS_MAX: i64 = 400;

#[derive(Debug, Deserialize)]
pub(crate) struct ByIdentifier {
    brand_id: String,
    identifier: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AnalyticsQuery {
    grain: Option<String>,
    event_type: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// `GET /api/profiles/{id}`: any member's id answers the person.
pub(crate) async fn by_id(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id: ProfileId = id
        .parse()
        .map_err(|_| bad_request("invalid_profile_id", "a profile id is a UUID"))?;
    let person = api.profiles.person(id).await.map_err(store_problem)?;
    answer(&api, person).await
}

/// `GET /api/profiles?brand_id=&identifier=type:value`
pub(crate) async fn by_identifier(
    State(api): State<Api>,
    Query(query): Query<ByIdentifier>,
) -> Result<Json<Value>, Problem> {
    let brand_id = brand(query.brand_id)?;
    let identifier = identity::parse(&query.identifier, api.default_region)
        .map_err(|error| bad_request("invalid_identifier", format!("identifier: {error}")))?;
    let key = IdentifierKey {
        brand_id,
        identifier,
    };
    let person = api.profiles.find(&key).await.map_err(store_problem)?;
    answer(&api, person).await
}

async fn answer(api: &Api, person: Option<PersonView>) -> Result<Json<Value>, Problem> {
    let Some(person) = person else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_profile",
            "nobody is known so",
        ));
    };
    let people = BTreeMap::from([(person.profile_id, person.origins.clone())]);
    let features = api.features.of_people(&people, api.clock.now()).await;
    let features = features.map_err(store_problem)?;
    Ok(Json(json!({
        "profile_id": person.profile_id,
        "brand_id": person.brand_id,
        "origins": person.origins,
        "identifiers": person.identifiers,
        "features": features.get(&person.profile_id),
    })))
}

/// `GET /api/brands/{id}/analytics?grain=day&event_type=&from=&to=`
pub(crate) async fn analytics(
    State(api): State<Api>,
    Path(brand_id): Path<String>,
    Query(query): Query<AnalyticsQuery>,
) -> Result<Json<Value>, Problem> {
    let brand_id = brand(brand_id)?;
    let grain = grain(query.grain.as_deref())?;
    let now = api.clock.now();
    let to = moment("to", query.to.as_deref(), UnixMillis(now.0 + DAY_MS))?;
    let from = moment(
        "from",
        query.from.as_deref(),
        UnixMillis(now.0 - 30 * DAY_MS),
    )?;
    let event_type = query
        .event_type
        .map(EventType::new)
        .transpose()
        .map_err(|error| bad_request("invalid_event_type", format!("event_type {error}")))?;
    let unique = match &event_type {
        Some(event_type) => Some(unique(&api, &brand_id, event_type, (from, to)).await?),
        None => None,
    };
    let event_type = event_type.map(|event_type| event_type.to_string());
    let query = BucketQuery {
        brand_id,
        grain,
        event_type,
        from,
        to,
        limit: BUCKETS_MAX,
    };
    let buckets = api.analytics.buckets(&query).await.map_err(store_problem)?;
    Ok(Json(json!({
        "brand_id": query.brand_id,
        "grain": grain.as_str(),
        "unique_profiles": unique,
        "buckets": buckets.iter().map(bucket).collect::<Vec<_>>(),
    })))
}

async fn unique(
    api: &Api,
    brand_id: &BrandId,
    event_type: &EventType,
    (from, to): (UnixMillis, UnixMillis),
) -> Result<u64, Problem> {
    let last = UnixMillis(to.0 - 1).epoch_day();
    let first = from.epoch_day().max(last - UNIQUE_DAYS_MAX);
    api.unique
        .count(brand_id, event_type, first..=last)
        .await
        .map_err(store_problem)
}

fn bucket(bucket: &Bucket) -> Value {
    json!({
        "bucket_start": bucket.start.to_string(),
        "event_type": bucket.event_type,
        "currency": bucket.currency,
        "events": bucket.events,
        "amount_minor": bucket.amount_minor,
    })
}

fn brand(text: String) -> Result<BrandId, Problem> {
    BrandId::new(text).map_err(|error| bad_request("invalid_brand_id", format!("brand_id {error}")))
}

fn grain(text: Option<&str>) -> Result<Grain, Problem> {
    match text {
        None | Some("day") => Ok(Grain::Day),
        Some("hour") => Ok(Grain::Hour),
        Some("minute") => Ok(Grain::Minute),
        Some(_) => Err(bad_request("invalid_grain", "grain is minute, hour or day")),
    }
}

fn moment(name: &str, text: Option<&str>, otherwise: UnixMillis) -> Result<UnixMillis, Problem> {
    let Some(text) = text else {
        return Ok(otherwise);
    };
    text.parse().map_err(|_| {
        bad_request(
            "invalid_timestamp",
            format!("{name} is not an RFC 3339 time stamp"),
        )
    })
}
