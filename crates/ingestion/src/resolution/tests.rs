//! Identifiers are written `u:1` (external id), `e:ann` (e-mail), `p:1` (phone), `a:1` (anonymous
//! id), `d:1` (device); a batch of events is separated by `;`.

use super::*;

fn observed(text: &str) -> ObservedIdentifier {
    let (kind, value) = text.split_once(':').expect(text);
    let kind = match kind {
        "u" => IdentifierType::UserId,
        "e" => IdentifierType::Email,
        "p" => IdentifierType::Phone,
        "a" => IdentifierType::AnonymousId,
        _ => IdentifierType::DeviceId,
    };
    let identifier = Identifier {
        kind,
        value: value.to_owned(),
    };
    ObservedIdentifier {
        identifier,
        raw: value.to_owned(),
        rule_version: 1,
    }
}

fn brand() -> BrandId {
    BrandId::new("acme").expect("valid")
}

fn origin(text: &str) -> ProfileId {
    ProfileId::of_identifier(&brand(), &observed(text).identifier)
}

/// Resolves each batch against what the ones before it wrote.
fn resolve_all(batches: &[&str]) -> (KnownProfiles, Vec<Resolution>) {
    let brand = brand();
    let mut known = KnownProfiles::default();
    let mut last = Vec::new();
    for batch in batches {
        let events: Vec<Vec<ObservedIdentifier>> = batch
            .split(';')
            .map(|event| {
                let mut shown: Vec<_> = event.split_whitespace().map(observed).collect();
                shown.sort_by_key(|observed| observed.identifier.kind);
                shown
            })
            .collect();
        let observations: Vec<Observation<'_>> = events
            .iter()
            .map(|identifiers| Observation {
                brand_id: &brand,
                event_id: EventId(Uuid::nil()),
                identifiers,
            })
            .collect();
        let plan = resolve(&observations, known.clone());
        for new in &plan.identifiers {
            let identifier = new.observed.identifier.clone();
            let root_id = new.origin_id;
            let person = known.people.entry(root_id).or_default();
            person.strong |= identifier.kind.is_strong();
            if identifier.kind == IdentifierType::UserId {
                person.user_ids.insert(identifier.value.clone());
            }
            let key = IdentifierKey {
                brand_id: brand.clone(),
                identifier,
            };
            let owner = Owner {
                origin_id: new.origin_id,
                root_id,
            };
            assert_eq!(known.owners.insert(key, owner), None, "attached twice");
        }
        last = plan.resolutions;
    }
    (known, last)
}

/// The owner of the last event, and whom it proposes to merge (`!` for manual review).
fn check(batches: &[&str], owner: &str, proposed: &[&str], manual: bool) {
    let (_, resolutions) = resolve_all(batches);
    let last = resolutions.last().expect("an event");
    let expected = (!owner.is_empty()).then(|| origin(owner));
    assert_eq!(
        last.owner.map(|owner| owner.origin_id),
        expected,
        "{batches:?}"
    );
    let mut profiles: Vec<ProfileId> = proposed.iter().map(|text| origin(text)).collect();
    profiles.sort_unstable();
    let proposal = last.proposal.as_ref();
    assert_eq!(
        proposal.map_or(&[][..], |p| &p.profiles),
        profiles,
        "{batches:?}"
    );
    assert_eq!(
        proposal.is_some_and(|p| p.requires_manual_review),
        manual,
        "{batches:?}"
    );
}

#[test]
fn an_event_without_identifiers_is_nobody_s() {
    check(&[""], "", &[], false);
}

#[test]
fn the_strongest_identifier_creates_the_origin_and_the_others_are_attached() {
    check(&["u:1 e:ann p:1 a:1"], "u:1", &[], false);
    check(&["u:1 e:ann", "e:ann"], "u:1", &[], false);
    check(&["e:ann p:1", "p:1 a:9", "a:9"], "e:ann", &[], false);
}

#[test]
fn events_of_one_batch_see_each_other() {
    check(&["e:ann a:1;a:1;a:1 p:1"], "p:1", &[], false);
    check(&["a:1;a:1 e:ann;e:ann p:1;p:1"], "a:1", &[], false);
}

#[test]
fn several_owners_are_proposed_and_the_strongest_identifier_decides() {
    check(
        &["e:ann", "p:1", "e:ann p:1"],
        "e:ann",
        &["e:ann", "p:1"],
        false,
    );
    check(&["e:ann;p:1;e:ann p:1"], "e:ann", &["e:ann", "p:1"], false);
    let bridge = ["u:1", "e:ann", "p:1", "u:1 e:ann p:1"];
    check(&bridge, "u:1", &["u:1", "e:ann", "p:1"], false);
}

#[test]
fn a_login_joins_the_anonymous_visitor() {
    check(&["a:1", "e:ann a:1"], "a:1", &[], false);
    check(
        &["e:ann", "a:1", "e:ann a:1"],
        "e:ann",
        &["e:ann", "a:1"],
        false,
    );
}

#[test]
fn a_shared_device_never_joins_two_people() {
    check(&["e:ann d:1", "e:bob d:1"], "e:bob", &[], false);
    check(&["e:ann d:1", "e:bob", "e:bob d:1"], "e:bob", &[], false);
    let (_, resolutions) = resolve_all(&["e:ann d:1", "e:bob d:1"]);
    assert_eq!(
        resolutions.last().expect("an event").warnings,
        [SHARED_DEVICE]
    );
    check(&["e:ann a:1", "e:bob d:1", "a:1 d:1"], "e:ann", &[], false);
}

#[test]
fn a_second_external_id_is_never_attached_and_a_person_decides() {
    check(&["u:1 e:ann", "u:2 e:ann"], "u:2", &["u:1", "u:2"], true);
    check(&["u:1", "u:2", "u:1 u:2"], "u:1", &["u:1", "u:2"], true);
    check(&["u:1 u:2"], "u:1", &["u:1", "u:2"], true);
    check(
        &["u:1 e:ann", "u:2 p:1", "e:ann p:1"],
        "u:1",
        &["u:1", "u:2"],
        true,
    );
    let (known, _) = resolve_all(&["u:1 e:ann", "u:2 e:ann"]);
    assert!(
        known
            .people
            .values()
            .all(|person| person.user_ids.len() <= 1)
    );
}

#[test]
fn a_request_has_the_same_id_for_the_same_profiles_and_event() {
    let proposal = |profiles: &[&str]| MergeProposal {
        profiles: profiles.iter().map(|text| origin(text)).collect(),
        requires_manual_review: false,
        evidence: Vec::new(),
    };
    let (one, two) = (EventId(Uuid::from_u128(1)), EventId(Uuid::from_u128(2)));
    let pair = proposal(&["u:1", "u:2"]);
    assert_eq!(
        pair.request_id(one),
        proposal(&["u:1", "u:2"]).request_id(one)
    );
    assert_ne!(pair.request_id(one), pair.request_id(two));
    assert_ne!(
        pair.request_id(one),
        proposal(&["u:1", "u:3"]).request_id(one)
    );
}
