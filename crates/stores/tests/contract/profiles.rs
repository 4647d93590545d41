//! Profiles: creating, attaching and looking up.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use common::{EventId, Identifier, IdentifierType, ObservedIdentifier, ProfileId};
use stores::{IdentifierKey, KnownProfiles, NewIdentifier, NewProfile, Owner, Person, PersonView};
use uuid::Uuid;

use crate::facts::{ACME, BRANDS, brand};
use crate::{Bench, NOW};

on_both_engines! {
    an_unknown_identifier_has_no_owner,
    a_new_origin_owns_its_first_identifier,
    identifiers_are_attached_to_an_origin_that_is_there,
    what_is_known_of_people_is_whether_they_are_strong_and_their_own_ids,
    the_same_identifier_of_two_brands_belongs_to_two_people,
    people_are_found_by_origin_and_by_identifier,
    pages_show_every_person_of_the_brand_once,
    a_batch_of_512_identifiers_is_added_and_found,
}

pub(crate) fn key(kind: IdentifierType, value: &str) -> IdentifierKey {
    IdentifierKey {
        brand_id: brand(ACME),
        identifier: Identifier {
            kind,
            value: value.to_owned(),
        },
    }
}

pub(crate) fn email(value: &str) -> IdentifierKey {
    key(IdentifierType::Email, value)
}

pub(crate) fn id_of(key: &IdentifierKey) -> ProfileId {
    ProfileId::of_identifier(&key.brand_id, &key.identifier)
}

pub(crate) fn new_profile(first: &IdentifierKey) -> NewProfile {
    NewProfile {
        origin_id: id_of(first),
        first: first.clone(),
        event_id: EventId(Uuid::from_u128(1)),
    }
}

pub(crate) fn new_identifier(key: &IdentifierKey, origin_id: ProfileId) -> NewIdentifier {
    NewIdentifier {
        brand_id: key.brand_id.clone(),
        observed: ObservedIdentifier {
            identifier: key.identifier.clone(),
            raw: format!("  {}\t\n", key.identifier.value),
            rule_version: 1,
        },
        origin_id,
        event_id: EventId(Uuid::from_u128(2)),
    }
}

/// Creates the origin of the first identifier and attaches all of them.
pub(crate) async fn add_person(bench: &Bench, keys: &[IdentifierKey]) -> Result<ProfileId> {
    let first = keys.first().context("an identifier")?;
    let id = id_of(first);
    let identifiers: Vec<_> = keys.iter().map(|key| new_identifier(key, id)).collect();
    let profiles = BTreeSet::from([new_profile(first)]);
    let added = bench.profiles().add(&profiles, &identifiers, NOW).await?;
    assert!(added, "{keys:?}");
    Ok(id)
}

pub(crate) async fn known(bench: &Bench, keys: &[IdentifierKey]) -> Result<KnownProfiles> {
    let keys: BTreeSet<IdentifierKey> = keys.iter().cloned().collect();
    Ok(bench.profiles().known(&keys).await?)
}

/// The owner of an identifier, whose origin is a person of its own.
pub(crate) async fn owner(bench: &Bench, key: &IdentifierKey) -> Result<Option<ProfileId>> {
    let known = known(bench, std::slice::from_ref(key)).await?;
    let owner = known.owners.get(key).copied();
    assert!(owner.is_none_or(|owner| owner.root_id == owner.origin_id));
    Ok(owner.map(|owner| owner.origin_id))
}

fn view(keys: &[IdentifierKey]) -> PersonView {
    let mut identifiers: Vec<Identifier> = keys.iter().map(|key| key.identifier.clone()).collect();
    identifiers.sort_unstable();
    PersonView {
        profile_id: id_of(&keys[0]),
        brand_id: keys[0].brand_id.clone(),
        origins: vec![id_of(&keys[0])],
        identifiers,
    }
}

async fn an_unknown_identifier_has_no_owner(bench: Bench) -> Result<()> {
    assert_eq!(known(&bench, &[]).await?, KnownProfiles::default());
    assert_eq!(
        known(&bench, &[email("a@b.c")]).await?,
        KnownProfiles::default()
    );
    assert_eq!(bench.profiles().find(&email("a@b.c")).await?, None);
    assert_eq!(bench.profiles().person(id_of(&email("a@b.c"))).await?, None);
    assert_eq!(bench.profiles().list(&brand(ACME), None, 10).await?, []);
    assert!(bench.profiles().add(&BTreeSet::new(), &[], NOW).await?);
    Ok(())
}

async fn a_new_origin_owns_its_first_identifier(bench: Bench) -> Result<()> {
    let key = email("ann@example.com");
    let id = add_person(&bench, std::slice::from_ref(&key)).await?;
    let owner = Owner {
        origin_id: id,
        root_id: id,
    };
    let person = Person {
        strong: true,
        user_ids: BTreeSet::new(),
    };
    let found = known(&bench, &[key.clone(), email("bob@example.com")]).await?;
    assert_eq!(found.owners, [(key, owner)].into());
    assert_eq!(found.people, [(id, person)].into());
    Ok(())
}

async fn identifiers_are_attached_to_an_origin_that_is_there(bench: Bench) -> Result<()> {
    let device = key(IdentifierType::DeviceId, "phone-1");
    let id = add_person(&bench, std::slice::from_ref(&device)).await?;
    let later = [
        email("ann@example.com"),
        key(IdentifierType::Phone, "+4915112345678"),
    ];
    let identifiers = later.clone().map(|key| new_identifier(&key, id));
    assert!(
        bench
            .profiles()
            .add(&BTreeSet::new(), &identifiers, NOW)
            .await?
    );
    for key in &later {
        assert_eq!(owner(&bench, key).await?, Some(id));
    }
    // Whoever creates the origin anew finds it there, and only what is new is attached.
    let user = key(IdentifierType::UserId, "u1");
    let profiles = BTreeSet::from([new_profile(&device)]);
    let new = [new_identifier(&user, id)];
    assert!(bench.profiles().add(&profiles, &new, NOW).await?);
    let [mail, phone] = later;
    let expected = PersonView {
        profile_id: id,
        origins: vec![id],
        ..view(&[device, mail, phone, user])
    };
    assert_eq!(bench.profiles().person(id).await?, Some(expected));
    Ok(())
}

async fn what_is_known_of_people_is_whether_they_are_strong_and_their_own_ids(
    bench: Bench,
) -> Result<()> {
    let device = key(IdentifierType::DeviceId, "d");
    let anonymous = key(IdentifierType::AnonymousId, "d");
    let user = key(IdentifierType::UserId, "u1");
    let other = key(IdentifierType::UserId, "u2");
    let weak = add_person(&bench, &[device.clone(), anonymous.clone()]).await?;
    let phone = key(IdentifierType::Phone, "+4915112345678");
    let strong = add_person(&bench, &[user, phone.clone(), other]).await?;
    // The ids are of the whole person, also those that were not asked for.
    let found = known(&bench, &[anonymous, phone]).await?;
    assert_eq!(found.owners.len(), 2);
    let people = [
        (weak, Person::default()),
        (
            strong,
            Person {
                strong: true,
                user_ids: ["u1".to_owned(), "u2".to_owned()].into(),
            },
        ),
    ];
    assert_eq!(found.people, people.into());
    Ok(())
}

async fn the_same_identifier_of_two_brands_belongs_to_two_people(bench: Bench) -> Result<()> {
    let keys = BRANDS.map(|name| IdentifierKey {
        brand_id: brand(name),
        ..email("ann@example.com")
    });
    for key in &keys {
        add_person(&bench, std::slice::from_ref(key)).await?;
    }
    let found = known(&bench, &keys).await?;
    for key in &keys {
        assert_eq!(
            found.owners.get(key).map(|owner| owner.origin_id),
            Some(id_of(key))
        );
        let person = view(std::slice::from_ref(key));
        assert_eq!(
            bench.profiles().list(&key.brand_id, None, 10).await?,
            [person]
        );
    }
    Ok(())
}

async fn people_are_found_by_origin_and_by_identifier(bench: Bench) -> Result<()> {
    let keys = [
        key(IdentifierType::DeviceId, "d"),
        email("ann@example.com"),
        key(IdentifierType::UserId, "u1"),
    ];
    let id = add_person(&bench, &keys).await?;
    add_person(&bench, &[email("bob@example.com")]).await?;
    let expected = view(&keys);
    // Strongest first.
    let kinds: Vec<IdentifierType> = expected
        .identifiers
        .iter()
        .map(|known| known.kind)
        .collect();
    assert_eq!(
        kinds,
        [
            IdentifierType::UserId,
            IdentifierType::Email,
            IdentifierType::DeviceId
        ]
    );
    assert_eq!(bench.profiles().person(id).await?, Some(expected.clone()));
    for key in &keys {
        assert_eq!(bench.profiles().find(key).await?, Some(expected.clone()));
    }
    Ok(())
}

async fn pages_show_every_person_of_the_brand_once(bench: Bench) -> Result<()> {
    let mut ids = BTreeSet::new();
    for number in 0..25 {
        let mail = email(&format!("{number}@example.com"));
        let device = key(IdentifierType::DeviceId, &format!("{number}"));
        ids.insert(add_person(&bench, &[mail, device]).await?);
        let stranger = IdentifierKey {
            brand_id: brand("stranger"),
            ..email(&format!("{number}@example.com"))
        };
        add_person(&bench, &[stranger]).await?;
    }
    let profiles = bench.profiles();
    for length in [1, 7, 25, 100] {
        let mut seen = Vec::new();
        loop {
            let page = profiles
                .list(&brand(ACME), seen.last().copied(), length)
                .await?;
            assert!(page.len() <= usize::try_from(length)?);
            assert!(page.iter().all(|person| person.identifiers.len() == 2));
            if page.is_empty() {
                break;
            }
            seen.extend(page.iter().map(|person| person.profile_id));
        }
        assert_eq!(seen, ids.iter().copied().collect::<Vec<_>>());
    }
    assert_eq!(profiles.list(&brand(ACME), None, 0).await?, []);
    Ok(())
}

async fn a_batch_of_512_identifiers_is_added_and_found(bench: Bench) -> Result<()> {
    let keys: Vec<IdentifierKey> = (0..512)
        .map(|number| email(&format!("{number}@x.y")))
        .collect();
    let profiles: BTreeSet<NewProfile> = keys.iter().map(new_profile).collect();
    let identifiers: Vec<NewIdentifier> = keys
        .iter()
        .map(|key| new_identifier(key, id_of(key)))
        .collect();
    assert!(bench.profiles().add(&profiles, &identifiers, NOW).await?);
    let found = known(&bench, &keys).await?;
    assert_eq!((found.owners.len(), found.people.len()), (512, 512));
    for key in &keys {
        assert_eq!(
            found.owners.get(key).map(|owner| owner.origin_id),
            Some(id_of(key))
        );
    }
    assert_eq!(
        bench
            .profiles()
            .list(&brand(ACME), None, 1_000)
            .await?
            .len(),
        512
    );
    Ok(())
}
