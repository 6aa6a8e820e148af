//! What has to be so in the end.

use std::time::Duration;

use serde_json::Value;
use test_apiserver::ApiServer;
use test_invariants::{Recorder, What, check};
use tokio::time::{Instant, sleep};
use workspace_operator::{
    api::{ConditionStatus, ConditionType},
    context::Clock,
};

use crate::{operators::Operator, programs::Programs, users::Wish};

/// How long nobody must write until all has come to rest: longer than any pause.
const REST: Duration = Duration::from_mins(12);
/// How long that may take.
const PATIENCE: Duration = Duration::from_hours(1);
/// How often is looked whether it has, and programs beat.
const LOOK: Duration = Duration::from_secs(20);

/// Lets all come to rest, and tells what is wrong then, or was on the way.
pub async fn judge(
    server: &ApiServer,
    recorder: &Recorder,
    operators: &mut [Operator],
    programs: &mut Programs,
    wishes: &[(&str, &Wish)],
    clock: &Clock,
) -> Vec<String> {
    recorder.note(clock(), What::Calm);
    let mut wrong = Vec::new();
    if rest(operators, programs, clock).await {
        if server.watches().iter().all(|watch| watch.pending == 0) {
            recorder.note(clock(), What::Settled);
            programs.haunt().await;
        } else {
            wrong.push("a watch was not told of everything".to_owned());
        }
        wrong.extend(wishes.iter().filter_map(|(name, wish)| differs(server, name, wish)));
    } else {
        wrong.push("the operators do not come to rest".to_owned());
    }
    wrong.extend(check(&recorder.history()).into_iter().map(|violation| violation.to_string()));
    wrong
}

/// Until nobody has written for long.
async fn rest(operators: &mut [Operator], programs: &mut Programs, clock: &Clock) -> bool {
    let count = |operators: &[Operator]| operators.iter().map(Operator::writes).sum::<usize>();
    let begun = Instant::now();
    let (mut last, mut since) = (count(operators), begun);
    while since.elapsed() < REST {
        if begun.elapsed() > PATIENCE {
            return false;
        }
        sleep(LOOK).await;
        programs.behave().await;
        // One that waits for an answer from before the calm ends by itself.
        for operator in &mut *operators {
            operator.keep(clock);
        }
        let writes = count(operators);
        if writes != last {
            (last, since) = (writes, Instant::now());
        }
    }
    true
}

/// What differs from what is wished; nothing, if all is well.
fn differs(server: &ApiServer, name: &str, wish: &Wish) -> Option<String> {
    let workspace = server.object("Workspace", "test", name);
    let pod = server.object("Pod", "test", name);
    let Some(workspace) = workspace else {
        if wish.exists {
            return Some(format!("{name} is gone, and nobody deleted it"));
        }
        return pod.map(|_| format!("{name} is gone, and its Pod is not"));
    };
    if !wish.exists {
        return Some(format!("{name} was deleted, and is still there"));
    }
    let generation = workspace.pointer("/metadata/generation");
    if workspace.pointer("/status/observedGeneration") != generation {
        return Some(format!("the status of {name} does not speak of its spec"));
    }
    if wish.is_stopped || wish.is_held {
        return pod.map(|_| format!("{name} is to have no Pod, and has one"));
    }
    let is = |type_: ConditionType, status: ConditionStatus| {
        let all = workspace.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
        all.filter(|one| one["type"] == type_.as_str()).any(|one| one["status"] == status.as_str())
    };
    let is_done = is(ConditionType::Ready, ConditionStatus::True)
        && is(ConditionType::UpToDate, ConditionStatus::True)
        && is(ConditionType::Reconciling, ConditionStatus::False)
        && is(ConditionType::Stalled, ConditionStatus::False);
    let image = |object: &Value, at: &str| object.pointer(at).cloned();
    let is_newest =
        pod.is_some_and(|pod| image(&pod, "/spec/containers/0/image") == image(&workspace, "/spec/image"));
    let may_be_ready = ["good", "slow", "linger"].contains(&wish.image.as_str());
    (may_be_ready && !(is_done && is_newest))
        .then(|| format!("{name} is not as wanted with {}: {}", wish.image, workspace["status"]))
}
