//! Workers that attach the same identifiers at the same time.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use common::{IdentifierType, ProfileId};
use fastrand::Rng;
use stores::{IdentifierKey, Profiles};
use tokio::task::JoinSet;

use crate::facts::{ACME, brand};
use crate::profiles::{add_person, email, id_of, key, known, new_identifier, new_profile, owner};
use crate::{Bench, NOW};

on_both_engines! {
    an_identifier_that_somebody_owns_is_not_attached_again,
    of_two_that_attach_the_same_identifier_one_succeeds_and_the_other_leaves_nothing_behind,
    of_two_that_create_the_same_person_one_succeeds,
    workers_that_attach_the_same_identifiers_in_any_order_do_not_wait_in_a_circle,
    eight_workers_end_with_one_owner_for_each_identifier,
}

/// Creates the origin of the first identifier and attaches all of them, if none has an owner.
async fn create(profiles: &Profiles, keys: &[IdentifierKey]) -> Result<bool> {
    let id = id_of(&keys[0]);
    let identifiers: Vec<_> = keys.iter().map(|key| new_identifier(key, id)).collect();
    let new = BTreeSet::from([new_profile(&keys[0])]);
    Ok(profiles.add(&new, &identifiers, NOW).await?)
}

async fn an_identifier_that_somebody_owns_is_not_attached_again(bench: Bench) -> Result<()> {
    let (mine, shared) = (email("ann@example.com"), email("shared@example.com"));
    let ann = add_person(&bench, &[mine, shared.clone()]).await?;
    let (bob, more) = (email("bob@example.com"), email("more@example.com"));
    let keys = [bob.clone(), more.clone(), shared.clone()];
    assert!(!create(&bench.profiles(), &keys).await?);
    assert_eq!(owner(&bench, &shared).await?, Some(ann));
    assert_eq!(known(&bench, &[bob.clone(), more]).await?.owners.len(), 0);
    assert_eq!(bench.profiles().person(id_of(&bob)).await?, None);
    // Not even to the same one: who says so has not looked.
    let again = [new_identifier(&shared, ann)];
    assert!(!bench.profiles().add(&BTreeSet::new(), &again, NOW).await?);
    Ok(())
}

async fn of_two_that_attach_the_same_identifier_one_succeeds_and_the_other_leaves_nothing_behind(
    bench: Bench,
) -> Result<()> {
    let profiles = bench.profiles();
    for round in 0..20 {
        let shared = key(IdentifierType::Phone, &format!("+49151123456{round:02}"));
        let two = ["a", "b"].map(|who| {
            // Before and after the shared one in the order of rows.
            let mail = email(&format!("{who}{round}@example.com"));
            let device = key(IdentifierType::DeviceId, &format!("{who}{round}"));
            [mail, shared.clone(), device]
        });
        let (one, other) = tokio::join!(create(&profiles, &two[0]), create(&profiles, &two[1]));
        let (winner, loser) = match (one?, other?) {
            (true, false) => (&two[0], &two[1]),
            (false, true) => (&two[1], &two[0]),
            both => bail!("round {round}: {both:?}"),
        };
        for key in winner {
            assert_eq!(owner(&bench, key).await?, Some(id_of(&winner[0])));
        }
        assert_eq!(profiles.person(id_of(&loser[0])).await?, None);
        assert_eq!(owner(&bench, &loser[0]).await?, None);
        assert_eq!(owner(&bench, &loser[2]).await?, None);
    }
    Ok(())
}

async fn of_two_that_create_the_same_person_one_succeeds(bench: Bench) -> Result<()> {
    let profiles = bench.profiles();
    for round in 0..10 {
        let keys = [email(&format!("{round}@example.com"))];
        let (one, other) = tokio::join!(create(&profiles, &keys), create(&profiles, &keys));
        assert_eq!([one?, other?].into_iter().filter(|added| *added).count(), 1);
        assert_eq!(owner(&bench, &keys[0]).await?, Some(id_of(&keys[0])));
    }
    Ok(())
}

async fn workers_that_attach_the_same_identifiers_in_any_order_do_not_wait_in_a_circle(
    bench: Bench,
) -> Result<()> {
    for round in 0..5 {
        let ann = add_person(&bench, &[email(&format!("ann{round}@example.com"))]).await?;
        let device = |number: u32| key(IdentifierType::DeviceId, &format!("{round} {number}"));
        let keys: Vec<IdentifierKey> = (0..500).map(device).collect();
        let mut workers = JoinSet::new();
        for worker in 0..4 {
            let mut identifiers: Vec<_> = keys.iter().map(|key| new_identifier(key, ann)).collect();
            if worker % 2 == 0 {
                identifiers.reverse();
            }
            let profiles = bench.profiles();
            workers.spawn(async move { profiles.add(&BTreeSet::new(), &identifiers, NOW).await });
        }
        let mut added = 0;
        for outcome in workers.join_all().await {
            added += usize::from(outcome?);
        }
        assert_eq!(added, 1, "round {round}");
        assert_eq!(known(&bench, &keys).await?.owners.len(), keys.len());
    }
    Ok(())
}

/// Who was told to own what.
type Told = BTreeMap<IdentifierKey, ProfileId>;

async fn eight_workers_end_with_one_owner_for_each_identifier(bench: Bench) -> Result<()> {
    let mut workers = JoinSet::new();
    for seed in 0..8 {
        workers.spawn(normalise(bench.profiles(), Rng::with_seed(seed)));
    }
    let mut told = Told::new();
    for outcome in workers.join_all().await {
        for (key, owner) in outcome? {
            // An identifier belongs to one origin for ever, so everybody was told the same.
            assert_eq!(*told.entry(key.clone()).or_insert(owner), owner, "{key:?}");
        }
    }
    let keys: Vec<IdentifierKey> = told.keys().cloned().collect();
    let owners = known(&bench, &keys).await?.owners;
    let owners: Told = owners
        .into_iter()
        .map(|(key, owner)| (key, owner.origin_id))
        .collect();
    assert_eq!(owners, told);

    // No origin was left behind by those who had to begin anew.
    let people = bench.profiles().list(&brand(ACME), None, 10_000).await?;
    let listed: BTreeSet<ProfileId> = people.iter().map(|person| person.profile_id).collect();
    assert_eq!(listed, told.into_values().collect());
    for person in people {
        let firsts = person.identifiers.into_iter().map(|identifier| {
            id_of(&IdentifierKey {
                brand_id: person.brand_id.clone(),
                identifier,
            })
        });
        assert!(firsts.collect::<Vec<_>>().contains(&person.profile_id));
    }
    Ok(())
}

/// What a worker does with batches of events that show some of 60 identifiers each.
async fn normalise(profiles: Profiles, mut random: Rng) -> Result<Told> {
    let mut told = Told::new();
    for _ in 0..30 {
        let mut numbers: Vec<u32> = (0..60).collect();
        random.shuffle(&mut numbers);
        numbers.truncate(random.usize(1..8));
        let keys: Vec<IdentifierKey> = numbers
            .iter()
            .map(|number| email(&format!("{number}@example.com")))
            .collect();
        told.extend(resolve(&profiles, &keys).await?);
    }
    Ok(told)
}

/// Looks up, decides, writes; and anew when somebody else was faster.
async fn resolve(profiles: &Profiles, keys: &[IdentifierKey]) -> Result<Told> {
    let asked: BTreeSet<IdentifierKey> = keys.iter().cloned().collect();
    for _ in 0..100 {
        let owners = profiles.known(&asked).await?.owners;
        let mut told: Told = owners
            .iter()
            .map(|(key, owner)| (key.clone(), owner.origin_id))
            .collect();
        let unowned: Vec<&IdentifierKey> =
            keys.iter().filter(|key| !told.contains_key(key)).collect();
        let mut new = BTreeSet::new();
        let owner = if let Some(owner) = keys.iter().find_map(|key| told.get(key)) {
            *owner
        } else {
            new.insert(new_profile(&keys[0]));
            id_of(&keys[0])
        };
        let identifiers: Vec<_> = unowned
            .iter()
            .map(|key| new_identifier(key, owner))
            .collect();
        told.extend(unowned.into_iter().map(|key| (key.clone(), owner)));
        if identifiers.is_empty() || profiles.add(&new, &identifiers, NOW).await? {
            return Ok(told);
        }
    }
    bail!("others were always faster")
}
