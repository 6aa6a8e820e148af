//! I2: a failure, heartbeat or registration of incarnation n changes nothing once n+1 is claimed.
//!
//! Seen are failures that are counted, numbers that go back, and registrations that are written down. What a
//! heartbeat leads to is seen only in those.

use std::collections::BTreeMap;

use crate::{
    History, Invariant, Violation, What,
    calls::Calls,
    history::Change,
    object::{Start, Workspace},
    objects::Objects,
    violation::Violations,
};

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I2);
    let mut calls = Calls::of(history);
    // Questions that are open, and whether the start of their token was the newest when they were asked.
    let mut asked: BTreeMap<u64, (&str, bool)> = BTreeMap::new();
    history.walk(|objects, event| {
        calls.note(event);
        match &event.what {
            What::Asked { question, pod_uid: Some(uid), .. } => {
                let start = objects.starts().find(|start| start.uid() == uid);
                let is_newest = start.is_some_and(|start| overtaken_by(objects, start).is_none());
                asked.insert(*question, (uid, is_newest));
            }
            What::Answered { question, .. } => {
                asked.remove(question);
            }
            What::Changed(change) if calls.behind().is_some() => {
                if let Some(wrong) = status(change) {
                    violations.push(event.at, wrong);
                }
                if let Some((start, newest)) = registration(objects, change)
                    && !asked.values().any(|(uid, was_newest)| *uid == start.uid() && *was_newest)
                {
                    let what = format!("{} was registered after start {newest} was claimed", start.shown());
                    violations.push(event.at, what);
                }
            }
            _ => {}
        }
    });
    violations.all()
}

fn status(change: &Change) -> Option<String> {
    let (Some(before), after) = change.of_workspace()? else { return None };
    let (was, is) = (before.number()?, after.number()?);
    if is < was {
        return Some(format!("{}: after start {was}, start {is} stands in status", after.shown()));
    }
    let counted = |workspace: Workspace<'_>| workspace.0.number("/status/failures/last/incarnation");
    let failed = counted(after).filter(|failed| counted(before) != Some(*failed))?;
    (failed < was).then(|| {
        format!("{}: a failure of start {failed} was counted after start {was} was claimed", after.shown())
    })
}

/// The start that this change registers though a newer one was claimed, and that one's number.
fn registration<'a>(objects: &Objects<'a>, change: &'a Change) -> Option<(Start<'a>, i64)> {
    let start = Start::of(&change.kind, change.after()?)?;
    let before = Start::of(&change.kind, change.before()?)?;
    let is_new = start.is_registered() && !before.is_registered();
    Some((start, overtaken_by(objects, start).filter(|_| is_new)?))
}

/// The number of the start that was claimed since.
fn overtaken_by(objects: &Objects<'_>, start: Start<'_>) -> Option<i64> {
    let (namespace, name) = (start.object.namespace(), start.workspace_name());
    let workspace = objects.workspace(namespace, name, start.workspace_uid())?;
    workspace.number().filter(|number| start.number().is_some_and(|own| own < *number))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use test_apiserver::Verb;

    use crate::{
        Invariant::I2,
        story::{Story, claim, pod, workspace},
    };

    fn lost() -> Story {
        Story::new().put(workspace("x", json!({}))).starts("x", 1).remove("Pod", "x")
    }

    fn failure(incarnation: i64) -> serde_json::Value {
        json!({"failures": {"consecutive": 1, "last": {"incarnation": incarnation, "reason": "PodFailed"}}})
    }

    #[test]
    fn the_failure_of_the_newest_start_is_counted() {
        assert_eq!(lost().says("x", failure(1)).starts("x", 2).broken(), []);
    }

    #[test]
    fn the_failure_of_an_older_one_breaks_it() {
        assert_eq!(lost().says("x", claim(2)).says("x", failure(1)).broken(), [I2]);
    }

    #[test]
    fn a_number_that_goes_back_breaks_it_unless_somebody_else_wrote_it() {
        assert_eq!(lost().starts("x", 3).says("x", json!({"incarnation": {"number": 2}})).broken(), [I2]);
        let restored = json!({"status": {"incarnation": {"number": 2}}});
        assert_eq!(lost().starts("x", 3).change("Workspace", "x", restored).broken(), []);
    }

    #[test]
    fn the_registration_of_an_older_one_breaks_it() {
        let registered =
            json!({"status": {"conditions": [{"type": "workspaces.dev/registered", "status": "True"}]}});
        let register = |story: Story| {
            story
                .by("operator", Verb::Patch, "Pod", "x", |story| story.change("Pod", "x", registered.clone()))
        };
        let newest =
            Story::new().put(workspace("x", json!({}))).says("x", claim(1)).put(pod("x", "x-uid", 1));
        assert_eq!(register(newest).broken(), []);
        let late = lost().says("x", claim(2)).put(pod("x", "x-uid", 1));
        assert_eq!(register(late).broken(), [I2]);
    }
}
