//! Whose an event is: the pure rules of identity resolution.
//!
//! | the event shows | it belongs to |
//! |---|---|
//! | strong identifiers, some owned | the owner of the strongest owned one |
//! | strong identifiers, none owned | the owner of its weak ones if nobody strong owns them, else a new origin |
//! | weak identifiers only | the owner of the first owned one, else a new origin |
//!
//! Identifiers that nobody owns are attached there. Other owners are proposed for a merge, unless
//! only a weak identifier links two people who both have strong ones: a shared device. A second
//! external id for one person is never attached: it gets an origin of its own, and a person decides.

use std::collections::{BTreeSet, HashMap};

use common::{BrandId, EventId, Identifier, IdentifierType, ObservedIdentifier, ProfileId};
use serde::Serialize;
use stores::{IdentifierKey, KnownProfiles, NewIdentifier, NewProfile, Owner, Person};
use uuid::Uuid;

/// The event showed a weak identifier of somebody else; they are not linked by it.
const SHARED_DEVICE: &str = "weak_identifier_of_another_person";

/// What an event shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observation<'a> {
    pub(crate) brand_id: &'a BrandId,
    pub(crate) event_id: EventId,
    /// Strongest first.
    pub(crate) identifiers: &'a [ObservedIdentifier],
}

impl Observation<'_> {
    /// What is to be looked up.
    pub(crate) fn keys(&self) -> Vec<IdentifierKey> {
        self.identifiers
            .iter()
            .map(|observed| self.key(observed))
            .collect()
    }

    fn key(&self, observed: &ObservedIdentifier) -> IdentifierKey {
        IdentifierKey {
            brand_id: self.brand_id.clone(),
            identifier: observed.identifier.clone(),
        }
    }
}

/// What a batch comes to.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// One for each observation.
    pub(crate) resolutions: Vec<Resolution>,
    pub(crate) profiles: BTreeSet<NewProfile>,
    pub(crate) identifiers: Vec<NewIdentifier>,
}

/// Whose an event is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resolution {
    /// Nobody's without a usable identifier.
    pub(crate) owner: Option<Owner>,
    pub(crate) proposal: Option<MergeProposal>,
    pub(crate) warnings: Vec<&'static str>,
}

/// People who look like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MergeProposal {
    /// Sorted.
    pub(crate) profiles: Vec<ProfileId>,
    pub(crate) requires_manual_review: bool,
    pub(crate) evidence: Vec<Evidence>,
}

/// An identifier of the event, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Evidence {
    #[serde(flatten)]
    pub(crate) identifier: Identifier,
    pub(crate) profile_id: ProfileId,
    pub(crate) origin_id: ProfileId,
}

impl MergeProposal {
    /// The same for the same origins and the same event, whoever the origins belong to by then.
    pub(crate) fn request_id(&self, event_id: EventId) -> Uuid {
        Uuid::new_v5(&event_id.0, self.origins().as_bytes())
    }

    /// The same for the same origins.
    pub(crate) fn claim_id(&self) -> Uuid {
        Uuid::new_v5(&Uuid::nil(), self.origins().as_bytes())
    }

    fn origins(&self) -> String {
        let evidence = self.evidence.iter().map(|evidence| evidence.origin_id);
        let origins: BTreeSet<ProfileId> = evidence.chain(self.profiles.iter().copied()).collect();
        let origins: Vec<String> = origins.iter().map(ProfileId::to_string).collect();
        origins.join(",")
    }
}

/// Resolves a batch. Two events that share an identifier see each other.
pub(crate) fn resolve(observations: &[Observation<'_>], known: KnownProfiles) -> Plan {
    let mut resolver = Resolver {
        owners: known.owners,
        people: known.people,
        plan: Plan::default(),
    };
    for observation in observations {
        let resolution = resolver.resolve(observation);
        resolver.plan.resolutions.push(resolution);
    }
    resolver.plan
}

struct Resolver {
    owners: HashMap<IdentifierKey, Owner>,
    people: HashMap<ProfileId, Person>,
    plan: Plan,
}

impl Resolver {
    fn resolve(&mut self, event: &Observation<'_>) -> Resolution {
        let Some(strongest) = event.identifiers.first() else {
            return Resolution::default();
        };
        let existing = self.existing_owner(event);
        let conflicting = existing.filter(|owner| self.has_other_user_id(event, *owner));
        let owner = match (existing, conflicting) {
            (Some(owner), None) => owner,
            (None, _) | (_, Some(_)) => self.create(event, strongest),
        };
        for observed in event.identifiers {
            if self.owner(event, observed).is_some() {
                continue;
            }
            if self.is_other_user_id(observed, owner) {
                self.create(event, observed);
            } else {
                self.attach(event, observed, owner);
            }
        }
        self.propose(event, owner, conflicting)
    }

    fn owner(&self, event: &Observation<'_>, observed: &ObservedIdentifier) -> Option<Owner> {
        self.owners.get(&event.key(observed)).copied()
    }

    fn person(&self, owner: Owner) -> Option<&Person> {
        self.people.get(&owner.root_id)
    }

    fn is_strong(&self, owner: Owner) -> bool {
        self.person(owner).is_some_and(|person| person.strong)
    }

    /// Whom the event belongs to by what is known; nobody if an origin must be created.
    fn existing_owner(&self, event: &Observation<'_>) -> Option<Owner> {
        let owned = |strong: bool| {
            let of_class = event
                .identifiers
                .iter()
                .filter(move |o| o.identifier.kind.is_strong() == strong);
            of_class.filter_map(|observed| self.owner(event, observed))
        };
        if let Some(owner) = owned(true).next() {
            return Some(owner);
        }
        let shows_strong = event
            .identifiers
            .iter()
            .any(|o| o.identifier.kind.is_strong());
        // A weak identifier says who somebody new is only if it is nobody strong's.
        owned(false).find(|owner| !shows_strong || !self.is_strong(*owner))
    }

    /// Whether the event's first external id is new and the person already has another one.
    fn has_other_user_id(&self, event: &Observation<'_>, owner: Owner) -> bool {
        let first = event.identifiers.first();
        first.is_some_and(|observed| {
            self.owner(event, observed).is_none() && self.is_other_user_id(observed, owner)
        })
    }

    fn is_other_user_id(&self, observed: &ObservedIdentifier, owner: Owner) -> bool {
        let Identifier { kind, value } = &observed.identifier;
        *kind == IdentifierType::UserId
            && self.person(owner).is_some_and(|person| {
                !person.user_ids.is_empty() && !person.user_ids.contains(value)
            })
    }

    fn create(&mut self, event: &Observation<'_>, observed: &ObservedIdentifier) -> Owner {
        let first = event.key(observed);
        let origin_id = ProfileId::of_identifier(event.brand_id, &observed.identifier);
        let owner = Owner {
            origin_id,
            root_id: origin_id,
        };
        self.plan.profiles.insert(NewProfile {
            origin_id,
            first,
            event_id: event.event_id,
        });
        self.attach(event, observed, owner);
        owner
    }

    fn attach(&mut self, event: &Observation<'_>, observed: &ObservedIdentifier, owner: Owner) {
        self.owners.insert(event.key(observed), owner);
        let person = self.people.entry(owner.root_id).or_default();
        let Identifier { kind, value } = &observed.identifier;
        person.strong |= kind.is_strong();
        if *kind == IdentifierType::UserId {
            person.user_ids.insert(value.clone());
        }
        self.plan.identifiers.push(NewIdentifier {
            brand_id: event.brand_id.clone(),
            observed: observed.clone(),
            origin_id: owner.origin_id,
            event_id: event.event_id,
        });
    }

    /// Who else the event links to its owner.
    fn propose(
        &self,
        event: &Observation<'_>,
        owner: Owner,
        conflicting: Option<Owner>,
    ) -> Resolution {
        let mut resolution = Resolution {
            owner: Some(owner),
            ..Resolution::default()
        };
        let mut roots: BTreeSet<ProfileId> = BTreeSet::from([owner.root_id]);
        roots.extend(conflicting.map(|other| other.root_id));
        let mut evidence = Vec::new();
        let shows_strong_of_owner = self.shows_strong_of(event, owner);
        for observed in event.identifiers {
            let Some(other) = self.owner(event, observed) else {
                continue;
            };
            let strong_link = observed.identifier.kind.is_strong() && shows_strong_of_owner;
            let linked = other.root_id == owner.root_id
                || strong_link
                || !(self.is_strong(other) && self.is_strong(owner));
            if !linked {
                resolution.warnings.push(SHARED_DEVICE);
                continue;
            }
            roots.insert(other.root_id);
            evidence.push(Evidence {
                identifier: observed.identifier.clone(),
                profile_id: other.root_id,
                origin_id: other.origin_id,
            });
        }
        if roots.len() > 1 {
            resolution.proposal = Some(MergeProposal {
                requires_manual_review: self.have_different_user_ids(&roots),
                profiles: roots.into_iter().collect(),
                evidence,
            });
        }
        resolution.warnings.dedup();
        resolution
    }

    fn shows_strong_of(&self, event: &Observation<'_>, owner: Owner) -> bool {
        event.identifiers.iter().any(|observed| {
            observed.identifier.kind.is_strong()
                && self
                    .owner(event, observed)
                    .is_some_and(|o| o.root_id == owner.root_id)
        })
    }

    fn have_different_user_ids(&self, roots: &BTreeSet<ProfileId>) -> bool {
        let people = roots.iter().filter_map(|root| self.people.get(root));
        let user_ids: BTreeSet<&String> = people.flat_map(|person| &person.user_ids).collect();
        user_ids.len() > 1
    }
}

#[cfg(test)]
mod tests;
