//! I8: no call without a valid token of the current incarnation obtains or changes anything; a stale one gets 401.
//!
//! Registering asks the API server, so it is judged to the moment. A heartbeat asks the caches, which may be late, and
//! changes nothing by itself: it is judged once all has come to rest.

use std::collections::BTreeMap;

use crate::{History, Invariant, Violation, What, objects::Objects, violation::Violations};

const REGISTER: &str = "/v1/register";

/// A question that was not answered yet.
struct Question<'a> {
    path: &'a str,
    pod_uid: Option<&'a str>,
    /// Whether the token was of no use already when it was asked.
    was_stale: bool,
    is_at_rest: bool,
}

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I8);
    let mut open: BTreeMap<u64, Question<'_>> = BTreeMap::new();
    let mut is_at_rest = false;
    history.walk(|objects, event| match &event.what {
        What::Settled => is_at_rest = true,
        What::Changed(_) => is_at_rest = false,
        What::Asked { question, path, pod_uid } => {
            let pod_uid = pod_uid.as_deref();
            let was_stale = pod_uid.is_none_or(|uid| is_stale(objects, uid));
            open.insert(*question, Question { path, pod_uid, was_stale, is_at_rest });
        }
        What::Answered { question, code } => {
            let Some(asked) = open.remove(question) else { return };
            let is_exact = asked.path == REGISTER || asked.pod_uid.is_none() || asked.is_at_rest;
            // 409 tells a program what it may do next, and 403 that it is known.
            let is_heard = (200..300).contains(code) || matches!(code, 403 | 409);
            if asked.was_stale && is_exact && is_heard {
                let who = asked.pod_uid.unwrap_or("nobody");
                violations
                    .push(event.at, format!("{} by the token of {who} was answered {code}", asked.path));
            }
        }
        _ => {}
    });
    violations.all()
}

/// Whether its Pod is gone, or a newer start was claimed. Neither can be undone.
fn is_stale(objects: &Objects<'_>, uid: &str) -> bool {
    let Some(start) = objects.starts().find(|start| start.uid() == uid) else { return true };
    let workspace =
        objects.workspace(start.object.namespace(), start.workspace_name(), start.workspace_uid());
    workspace.is_none_or(|workspace| workspace.number() > start.number())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{
        Invariant::I8,
        What,
        story::{Story, claim, pod, workspace},
    };

    fn running() -> Story {
        Story::new().put(workspace("x", json!({}))).starts("x", 1)
    }

    fn asks(story: Story, path: &str, pod: Option<&str>, code: u16) -> Story {
        let pod_uid = pod.map(str::to_owned);
        story
            .what(What::Asked { question: 1, path: path.to_owned(), pod_uid })
            .what(What::Answered { question: 1, code })
    }

    #[test]
    fn the_newest_start_is_heard() {
        assert_eq!(asks(running(), "/v1/register", Some("x-pod-1"), 200).broken(), []);
    }

    #[test]
    fn nobody_and_the_start_before_are_not() {
        let replaced = || running().remove("Pod", "x").starts("x", 2);
        for code in [200, 409] {
            assert_eq!(asks(running(), "/v1/register", None, code).broken(), [I8]);
            assert_eq!(asks(replaced(), "/v1/register", Some("x-pod-1"), code).broken(), [I8]);
        }
        for code in [401, 429, 503] {
            assert_eq!(asks(replaced(), "/v1/register", Some("x-pod-1"), code).broken(), []);
        }
    }

    #[test]
    fn a_start_that_is_overtaken_while_its_pod_lives_is_not_heard() {
        let story = running().remove("Pod", "x").says("x", claim(2)).put(pod("x", "x-uid", 1));
        assert_eq!(asks(story, "/v1/register", Some("x-pod-1"), 200).broken(), [I8]);
    }

    #[test]
    fn who_was_overtaken_while_it_asked_may_be_heard() {
        let story = running()
            .what(What::Asked { question: 1, path: "/v1/register".into(), pod_uid: Some("x-pod-1".into()) })
            .remove("Pod", "x")
            .what(What::Answered { question: 1, code: 200 });
        assert_eq!(story.broken(), []);
    }

    #[test]
    fn a_late_heartbeat_is_judged_at_rest() {
        let gone = || running().remove("Pod", "x").starts("x", 2);
        assert_eq!(asks(gone(), "/v1/heartbeat", Some("x-pod-1"), 200).broken(), []);
        assert_eq!(asks(gone().settled(), "/v1/heartbeat", Some("x-pod-1"), 200).broken(), [I8]);
    }
}
