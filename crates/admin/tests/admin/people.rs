//! Profiles and analytics.

use anyhow::Result;
use serde_json::json;

use crate::bench::{Bench, at, code_of};

#[tokio::test]
async fn profiles_and_analytics_answer_what_is_asked_or_say_what_is_wrong() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    for (path, status, code) in [
        ("/api/profiles/x", 400, "invalid_profile_id"),
        (
            "/api/profiles/018f3a52-0000-7000-8000-000000000001",
            404,
            "unknown_profile",
        ),
        ("/api/profiles", 400, "invalid_request"),
        (
            "/api/profiles?brand_id=acme&identifier=a@example.com",
            400,
            "invalid_identifier",
        ),
        (
            "/api/profiles?brand_id=acme&identifier=email:a@example.com",
            404,
            "unknown_profile",
        ),
        (
            "/api/profiles?brand_id=&identifier=email:a@example.com",
            400,
            "invalid_brand_id",
        ),
        (
            "/api/brands/acme/analytics?grain=year",
            400,
            "invalid_grain",
        ),
        (
            "/api/brands/acme/analytics?from=yesterday",
            400,
            "invalid_timestamp",
        ),
    ] {
        assert_eq!(code_of(&bench.get(path)?, status)?, code, "{path}");
    }
    let analytics = bench.json("/api/brands/acme/analytics?event_type=purchase")?;
    let expected = json!({
        "brand_id": "acme", "grain": "day", "unique_profiles": 0, "buckets": [],
    });
    assert_eq!(analytics, expected);
    assert_eq!(
        at(
            &bench.json("/api/brands/acme/analytics")?,
            "/unique_profiles"
        ),
        &json!(null)
    );
    Ok(())
}
