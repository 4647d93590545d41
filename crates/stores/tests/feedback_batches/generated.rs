//! Whatever is done in whatever order, no item is lost.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Result, ensure};
use proptest::collection::vec;
use proptest::prelude::*;
use stores::TakenBatch;

use crate::{ANY, Bench, LONG, SHORT, agent, ids, item, lease, set, urgent};

/// What is done to the batch of one agent.
#[derive(Debug, Clone)]
enum Step {
    Add {
        agents: Vec<usize>,
        is_urgent: bool,
    },
    /// With a lease that ends at once, or with one that does not.
    Take {
        agent: usize,
        items_max: usize,
        is_short: bool,
    },
    /// By the last who took, who may have lost the lease.
    Finish {
        agent: usize,
    },
    Release {
        agent: usize,
    },
    Renew {
        agent: usize,
    },
    Request {
        agent: Option<usize>,
    },
}

const AGENTS: usize = 3;

fn any_step() -> impl Strategy<Value = Step> {
    let any_agent = 0..AGENTS;
    prop_oneof![
        4 => (vec(0..AGENTS, 1..40), any::<bool>())
            .prop_map(|(agents, is_urgent)| Step::Add { agents, is_urgent }),
        4 => (any_agent.clone(), 1_usize..30, any::<bool>())
            .prop_map(|(agent, items_max, is_short)| Step::Take { agent, items_max, is_short }),
        3 => any_agent.clone().prop_map(|agent| Step::Finish { agent }),
        1 => any_agent.clone().prop_map(|agent| Step::Release { agent }),
        1 => any_agent.clone().prop_map(|agent| Step::Renew { agent }),
        1 => prop::option::of(any_agent).prop_map(|agent| Step::Request { agent }),
    ]
}

fn name(agent: usize) -> String {
    format!("agent-{agent}")
}

/// What is known from outside.
#[derive(Debug, Default)]
struct Model {
    added: usize,
    finished: Vec<String>,
    last_taken: HashMap<usize, TakenBatch>,
}

impl Model {
    async fn step(&mut self, bench: &Bench, step: Step) -> Result<()> {
        match step {
            Step::Add { agents, is_urgent } => {
                let make = if is_urgent { urgent } else { item };
                let items: Vec<_> = (self.added..)
                    .zip(agents)
                    .map(|(number, agent)| make(&name(agent), number))
                    .collect();
                self.added += items.len();
                bench.add(&items).await?;
            }
            Step::Take {
                agent: number,
                items_max,
                is_short,
            } => {
                let length = if is_short { SHORT } else { LONG };
                let lease = lease(length, items_max);
                let taken = bench.batches.take(&agent(&name(number)), &lease).await?;
                if let Some(taken) = taken {
                    ensure!(!taken.items.is_empty(), "an empty batch");
                    self.last_taken.insert(number, taken);
                }
            }
            Step::Finish { agent } => {
                if let Some(taken) = self.last_taken.get(&agent)
                    && bench.batches.finish(taken).await?
                {
                    self.finished
                        .extend(ids(taken).into_iter().map(str::to_owned));
                }
            }
            Step::Release { agent } => {
                if let Some(taken) = self.last_taken.get(&agent) {
                    bench.batches.release(taken, SHORT).await?;
                }
            }
            Step::Renew { agent } => {
                if let Some(taken) = self.last_taken.get(&agent) {
                    bench.batches.renew(taken, &lease(LONG, 1)).await?;
                }
            }
            Step::Request { agent: number } => {
                let of = number.map(|number| agent(&name(number)));
                bench.batches.request_flush(of.as_ref()).await?;
            }
        }
        Ok(())
    }

    /// Every item was finished once or still waits, each in one place.
    async fn check(mut self, bench: &Bench) -> Result<()> {
        let waiting = bench.batches.overview(0).await?.total_items;
        let finished = u64::try_from(self.finished.len())?;
        ensure!(
            waiting + finished == u64::try_from(self.added)?,
            "{waiting} + {finished} of {}",
            self.added
        );
        for taken in self.last_taken.values() {
            bench.batches.release(taken, SHORT).await?;
        }
        while bench.batches.overview(0).await?.total_batches > 0 {
            self.finished.extend(bench.drain(7).await?);
        }
        let all: BTreeSet<String> = set((0..self.added).map(|number| number.to_string()));
        ensure!(self.finished.len() == all.len(), "some were finished twice");
        ensure!(set(self.finished) == all, "some were lost");
        bench.assert_empty().await
    }
}

async fn run(bench: &Bench, steps: Vec<Step>) -> Result<()> {
    ensure!(
        bench.batches.due(&ANY, 1).await?.is_empty(),
        "a store with a past"
    );
    let mut model = Model::default();
    for step in steps {
        model.step(bench, step).await?;
    }
    model.check(bench).await
}

fn check(bench: &Bench, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let fail = |error: anyhow::Error| TestCaseError::fail(format!("{error:#}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(bench, steps)).map_err(fail)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_order_of_steps_loses_an_item_in_memory(steps in vec(any_step(), 1..60)) {
        check(&Bench::in_memory(), steps)?;
    }

    #[test]
    fn no_order_of_steps_loses_an_item_in_redis(steps in vec(any_step(), 1..60)) {
        let bench = Bench::on_redis().map_err(|error| TestCaseError::fail(error.to_string()))?;
        if let Some(bench) = bench {
            check(&bench, steps)?;
        }
    }
}
