//! Gates over a few workspaces and classes.

use kube::runtime::{reflector, watcher};
use serde_json::{Value, json};

use super::*;

type Woken = futures::channel::mpsc::UnboundedReceiver<crate::waker::Target>;

/// Gates for classes with these names and rollouts; the first is the default one where `has_default`.
fn gates(classes: &[(&str, Value)], has_default: bool) -> (Gates, Woken) {
    let (store, mut writer) = reflector::store();
    for (index, (name, rollout)) in classes.iter().enumerate() {
        let is_default = (index == 0 && has_default).then_some("true");
        let class: DeserializeGuard<WorkspaceClass> = serde_json::from_value(json!({
            "apiVersion": "workspaces.dev/v1alpha1", "kind": "WorkspaceClass",
            "metadata": {"name": name, "annotations": {"workspaces.dev/is-default-class": is_default.unwrap_or("")}},
            "spec": {"rollout": rollout},
        }))
        .unwrap();
        writer.apply_watcher_event(&watcher::Event::Apply(class));
    }
    let (waker, woken) = Waker::new();
    (Gates::new(store, waker), woken)
}

/// A workspace whose status has these conditions and this start.
fn workspace(
    name: &str,
    class: Option<&str>,
    version: u64,
    up_to_date: &str,
    incarnation: Value,
) -> Workspace {
    serde_json::from_value(json!({
        "apiVersion": "workspaces.dev/v1alpha1", "kind": "Workspace",
        "metadata": {"name": name, "namespace": "ns", "uid": name, "resourceVersion": version.to_string()},
        "spec": {"className": class},
        "status": {"incarnation": incarnation, "conditions": [
            {"type": "Ready", "status": "True", "reason": "Running", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "UpToDate", "status": if up_to_date == "UpToDate" { "True" } else { "False" },
             "reason": up_to_date, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        ]},
    }))
    .unwrap()
}

fn serves(name: &str, class: Option<&str>) -> Workspace {
    workspace(name, class, 1, "UpToDate", json!({"number": 1}))
}

fn waits(name: &str, class: Option<&str>) -> Workspace {
    workspace(name, class, 1, "AwaitingRollout", json!({"number": 1}))
}

fn takes_a_place(name: &str, class: Option<&str>, version: u64) -> Workspace {
    workspace(name, class, version, "RollingOut", json!({"number": 1}))
}

fn woken(receiver: &mut Woken) -> Vec<String> {
    std::iter::from_fn(|| receiver.try_recv().ok()).map(|one| one.name).collect()
}

#[test]
fn no_more_places_are_promised_than_there_are() {
    let (gates, _woken) = gates(&[("c", json!({"maxUnavailable": 2}))], false);
    for name in ["a", "b", "d", "e"] {
        gates.note(&serves(name, Some("c")));
    }
    let ask = |name: &str| gates.ask(name, Some("c"), Asker::Serving);
    assert_eq!((ask("a"), ask("b"), ask("d")), (Ok(()), Ok(()), Err(Closed::Full)));
    assert_eq!(ask("a"), Ok(()), "who asks again has its place already");
    gates.note(&takes_a_place("a", Some("c"), 2));
    assert_eq!(ask("d"), Err(Closed::Full), "written down it counts once, not twice and not no more");
    gates.release("b");
    assert_eq!(ask("d"), Ok(()));
}

#[test]
fn a_free_place_wakes_who_waits_and_the_next_one_the_next() {
    let (gates, mut receiver) = gates(&[("c", json!({"maxUnavailable": 1}))], false);
    gates.note(&takes_a_place("a", Some("c"), 1));
    for name in ["b", "d", "e"] {
        gates.note(&waits(name, Some("c")));
    }
    assert_eq!(woken(&mut receiver), Vec::<String>::new());
    gates.note(&serves("a", Some("c")));
    assert_eq!(woken(&mut receiver), ["b"]);
    gates.ask("b", Some("c"), Asker::Serving).unwrap();
    gates.release("b");
    assert_eq!(woken(&mut receiver), ["d"], "one that does not go is passed over");
    gates.forget("nobody");
    assert_eq!(woken(&mut receiver), Vec::<String>::new());
}

#[test]
fn who_begins_to_wait_beside_a_free_place_is_woken() {
    let (gates, mut receiver) = gates(&[("c", json!({"maxUnavailable": 1}))], false);
    gates.note(&waits("a", Some("c")));
    assert_eq!(woken(&mut receiver), ["a"]);
}

#[test]
fn those_without_a_class_count_with_the_default_class_and_otherwise_by_themselves() {
    let rollout = json!({"maxUnavailable": 1});
    let (with, _woken) = gates(&[("c", rollout.clone())], true);
    with.note(&takes_a_place("a", None, 1));
    assert_eq!(with.ask("b", Some("c"), Asker::Serving), Err(Closed::Full));
    assert_eq!(with.progress("c").rolling, 1);
    let (without, _woken) = gates(&[("c", rollout)], false);
    without.note(&takes_a_place("a", None, 1));
    assert_eq!(without.ask("b", Some("c"), Asker::Serving), Ok(()));
    assert_eq!(without.ask("d", None, Asker::Serving), Err(Closed::Full));
}

#[tokio::test]
async fn of_two_that_took_the_last_place_the_later_one_is_not_confirmed() {
    let (gates, _woken) = gates(&[("c", json!({"maxUnavailable": 1}))], false);
    gates.note(&takes_a_place("a", Some("c"), 7));
    assert_eq!(gates.confirm("a", Some("c"), 7).await, Some(true));
    gates.note(&takes_a_place("b", Some("c"), 8));
    assert_eq!(gates.confirm("b", Some("c"), 8).await, Some(false));
}

#[tokio::test(start_paused = true)]
async fn a_place_is_confirmed_only_once_its_own_write_was_seen() {
    let (gates, _woken) = gates(&[("c", json!({"maxUnavailable": 1}))], false);
    gates.note(&serves("a", Some("c")));
    assert_eq!(gates.confirm("a", Some("c"), 7).await, None);
    let seen = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        gates.note(&takes_a_place("a", Some("c"), 7));
    };
    let (confirmed, ()) = tokio::join!(gates.confirm("a", Some("c"), 7), seen);
    assert_eq!(confirmed, Some(true));
}

#[test]
fn whoever_is_in_no_new_list_gives_its_place_back() {
    let (gates, mut receiver) = gates(&[("c", json!({"maxUnavailable": 1}))], false);
    gates.note(&takes_a_place("a", Some("c"), 1));
    gates.note(&waits("b", Some("c")));
    gates.retain(&HashSet::from(["b".to_owned()]));
    assert_eq!(woken(&mut receiver), ["b"]);
    assert_eq!(gates.progress("c").workspaces, 1);
}

#[test]
fn one_that_leaves_its_class_gives_its_place_back_there() {
    let width = json!({"maxUnavailable": 1});
    let (gates, mut receiver) = gates(&[("c", width.clone()), ("d", width)], false);
    gates.note(&takes_a_place("a", Some("c"), 1));
    gates.note(&waits("b", Some("c")));
    gates.note(&takes_a_place("a", Some("d"), 2));
    assert_eq!(woken(&mut receiver), ["b"]);
}

#[test]
fn one_that_was_woken_and_needs_no_place_any_more_passes_the_wake_on() {
    let (gates, mut receiver) = gates(&[("c", json!({"maxUnavailable": 1}))], false);
    gates.note(&takes_a_place("a", Some("c"), 1));
    for name in ["b", "d", "e"] {
        gates.note(&waits(name, Some("c")));
    }
    gates.note(&serves("a", Some("c")));
    assert_eq!(woken(&mut receiver), ["b"]);
    gates.note(&workspace("b", Some("c"), 2, "ReferenceMissing", json!({"number": 1})));
    assert_eq!(woken(&mut receiver), ["d"]);
    gates.forget("d");
    assert_eq!(woken(&mut receiver), ["e"]);
}

#[test]
fn one_whose_passes_fail_takes_no_wake_from_others() {
    let (gates, mut receiver) = gates(&[("c", json!({"maxUnavailable": 1}))], false);
    gates.note(&takes_a_place("a", Some("c"), 1));
    for name in ["b", "d"] {
        gates.note(&waits(name, Some("c")));
    }
    gates.rest("b");
    assert_eq!(woken(&mut receiver), Vec::<String>::new());
    gates.note(&serves("a", Some("c")));
    assert_eq!(woken(&mut receiver), ["d"]);
    gates.rest("d");
    assert_eq!(woken(&mut receiver), Vec::<String>::new(), "both try by their own clocks");
    gates.attend("b");
    gates.ask("b", Some("c"), Asker::Serving).unwrap();
    gates.release("b");
    assert_eq!(woken(&mut receiver), ["b"], "it is in the line again");
}

#[test]
fn nothing_is_promised_to_one_that_is_gone() {
    let (gates, _woken) = gates(&[("c", json!({"maxUnavailable": 1}))], false);
    gates.note(&serves("a", Some("c")));
    gates.note(&serves("b", Some("c")));
    gates.forget("a");
    let _ = gates.ask("a", Some("c"), Asker::Serving);
    assert_eq!(gates.ask("b", Some("c"), Asker::Serving), Ok(()));
}
