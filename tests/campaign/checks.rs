//! What must hold in every run besides its end.

use std::collections::BTreeMap;

use test_invariants::check;
use test_world::World;

use super::{operators::Ends, run::Observed, wire::Plan};

/// The workspaces that scenarios have.
const WORKSPACES: [&str; 2] = ["x", "y"];

/// How many Pods each workspace had.
pub fn started(world: &World) -> BTreeMap<&'static str, usize> {
    WORKSPACES.map(|name| (name, world.pods.started(name))).into()
}

/// What went wrong on the way, compared with the run without a fault.
pub fn broken(world: &World, ends: &Ends, expected: Option<&Observed>, plan: Option<&Plan>) -> Vec<String> {
    let is_torn = world.recorder.is_torn();
    let violations = check(&world.recorder.history());
    // They are told here, and not once more when the world ends.
    world.recorder.stop();
    let mut broken: Vec<String> = violations.iter().map(ToString::to_string).collect();
    broken.extend(is_torn.then(|| "a watch broke, so nothing is known of the way".to_owned()));
    if let Some(expected) = expected {
        for (name, number) in started(world) {
            let least = expected.started[name];
            let most = least + plan.map_or(0, |plan| plan.fault.explained_starts(&plan.point.write));
            if !(least..=most).contains(&number) {
                broken.push(format!("{name} had {number} Pods instead of {least}"));
            }
        }
    }
    // Without its own Secrets an operator gives up; its Pod tries again.
    if !plan.is_some_and(|plan| plan.point.write.is_of_operator_itself()) {
        broken.extend(ends.all().into_iter().map(|end| format!("an operator ended by itself: {end}")));
    }
    broken
}
