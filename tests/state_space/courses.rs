//! Runs cases, so many beside each other: each change, then rest, then the comparison with new workspaces.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use serde_json::Value;

use crate::{
    case::Case,
    judge::{self, Outcome},
    report::Report,
    seen::Seen,
    settle,
    stage::{Refusal, Stage},
};

/// How many workspaces change at a time.
const ABREAST: usize = 48;
/// How many calls are under way at a time.
const CALLS: usize = 8;

/// A workspace that goes through a case.
struct Subject<'a> {
    case: &'a Case,
    name: String,
    /// As it was before any change.
    beginning: Seen,
    /// As it was before the newest change.
    last: Seen,
    /// The spec it has.
    spec: Value,
    /// It was somewhere else than at the beginning, or restarted by an order.
    has_moved: bool,
}

/// A change, with the new workspace that it is measured by.
struct Step<'a> {
    subject: usize,
    spec: &'a Value,
    fresh: String,
    changed: Result<(), Refusal>,
    made: Result<(), Refusal>,
}

/// Runs all `cases`.
pub async fn run(stage: &Stage, cases: &[Case]) -> Report {
    let mut report = Report::default();
    for (number, batch) in cases.chunks(ABREAST).enumerate() {
        let done = number * ABREAST;
        eprintln!(
            "{done} of {} courses, {} changes, {} faults",
            cases.len(),
            report.changes,
            report.faults.len()
        );
        abreast(stage, number, batch, &mut report).await;
    }
    report
}

async fn abreast(stage: &Stage, batch: usize, cases: &[Case], report: &mut Report) {
    let mut subjects = begin(stage, batch, cases, report).await;
    let rounds = cases.iter().map(|case| case.specs.len()).max().unwrap_or_default();
    for round in 0..rounds {
        let steps = take(stage, &subjects, batch, round).await;
        judge(stage, &mut subjects, &steps, report).await;
        let freshes = steps.iter().map(|step| (subjects[step.subject].case.kind, &step.fresh));
        stream::iter(freshes).for_each_concurrent(CALLS, |(kind, name)| stage.end(kind, name)).await;
    }
    go_back(stage, &mut subjects, report).await;
    stream::iter(&subjects).for_each_concurrent(CALLS, |it| stage.end(it.case.kind, &it.name)).await;
    stage.world.forget_writes();
}

async fn begin<'a>(stage: &Stage, batch: usize, cases: &'a [Case], report: &mut Report) -> Vec<Subject<'a>> {
    let names: Vec<String> = (0..cases.len()).map(|number| format!("subject-{batch}-{number}")).collect();
    stream::iter(cases.iter().zip(&names))
        .for_each_concurrent(CALLS, |(case, name)| async move {
            stage.begin(case.kind, name, &case.kind.base()).await.unwrap();
        })
        .await;
    let seen = settle::settled(&stage.world, &names.iter().cloned().collect()).await;
    let subjects = cases.iter().zip(names).map(|(case, name)| {
        let beginning = seen.get(&name).cloned().unwrap_or_default();
        if !beginning.is_ready() {
            report.fault(case, &case.kind.base(), format!("did not start: {:?}", beginning.conditions));
        }
        let (last, spec) = (beginning.clone(), case.kind.base());
        Subject { case, name, beginning, last, spec, has_moved: false }
    });
    subjects.collect()
}

/// The change number `round` of each subject that has one.
async fn take<'a>(stage: &Stage, subjects: &[Subject<'a>], batch: usize, round: usize) -> Vec<Step<'a>> {
    let due = subjects.iter().enumerate().filter_map(|(number, subject)| {
        subject.case.specs.get(round).map(|spec| (number, subject.case.kind, subject.name.clone(), spec))
    });
    let taken = due.map(|(subject, kind, name, spec)| async move {
        let fresh = format!("fresh-{batch}-{subject}-{round}");
        let changed = stage.put(kind, &name, spec).await;
        let made = stage.begin(kind, &fresh, spec).await;
        Step { subject, spec, fresh, changed, made }
    });
    stream::iter(taken).buffered(CALLS).collect().await
}

async fn judge(stage: &Stage, subjects: &mut [Subject<'_>], steps: &[Step<'_>], report: &mut Report) {
    let accepted: Vec<&Step> =
        steps.iter().filter(|step| step.changed.is_ok() && step.made.is_ok()).collect();
    let names: BTreeSet<String> =
        accepted.iter().flat_map(|step| [subjects[step.subject].name.clone(), step.fresh.clone()]).collect();
    let mut seen = settle::settled(&stage.world, &names).await;
    if serve_what_waits(stage, subjects, &accepted, &seen).await {
        seen = settle::settled(&stage.world, &names).await;
    }
    let verdict = |subject: &Subject, step: &Step, seen: &BTreeMap<String, Seen>| {
        let (after, fresh) = (look(seen, &subject.name)?, look(seen, &step.fresh)?);
        judge::change(&subject.last, after, fresh, &subject.case.fields)
    };
    // What is late is not wrong: a class's change has no generation that a status could speak of.
    if accepted.iter().any(|step| verdict(&subjects[step.subject], step, &seen).is_err()) {
        let suspects: Vec<_> =
            accepted.iter().filter(|step| verdict(&subjects[step.subject], step, &seen).is_err()).collect();
        settle::until(&stage.world, |seen| {
            suspects.iter().all(|step| verdict(&subjects[step.subject], step, seen).is_ok())
        })
        .await;
        seen = settle::settled(&stage.world, &names).await;
    }
    for step in steps {
        let subject = &mut subjects[step.subject];
        report.changes += 1;
        let verdict = match (&step.changed, &step.made) {
            (Err(_), Err(_)) => Ok(Outcome::Refused),
            (Err(refusal), Ok(())) => Err(format!("only the change was refused: {refusal}")),
            (Ok(()), Err(refusal)) => Err(format!("only the new one was refused: {refusal}")),
            (Ok(()), Ok(())) => verdict(subject, step, &seen),
        };
        if step.changed.is_ok() {
            let after = seen.get(&subject.name).cloned().unwrap_or_default();
            if judge::restarted_for_nothing(&subject.last, &after) && !asks_for_restart(step.spec) {
                report.fault(
                    subject.case,
                    step.spec,
                    "it was restarted, and its Pod is as before".to_owned(),
                );
            }
            subject.has_moved |= after.uid != subject.beginning.uid;
            (subject.last, subject.spec) = (after, step.spec.clone());
        }
        match verdict {
            Ok(outcome) => report.note(subject.case, outcome),
            Err(why) => report.fault(subject.case, step.spec, why),
        }
    }
}

/// Restarts those whose change waits for it, by their own strategy.
async fn serve_what_waits(
    stage: &Stage,
    subjects: &mut [Subject<'_>],
    steps: &[&Step<'_>],
    seen: &BTreeMap<String, Seen>,
) -> bool {
    let mut any = false;
    for step in steps {
        let subject = &mut subjects[step.subject];
        let waits = seen.get(&subject.name).is_some_and(settle::awaits_restart);
        if waits {
            stage.world.restart(&subject.name).await;
            (subject.has_moved, any) = (true, true);
        }
    }
    any
}

/// Each gets the spec it began with, and is as it was.
async fn go_back(stage: &Stage, subjects: &mut [Subject<'_>], report: &mut Report) {
    let names: BTreeSet<String> = subjects.iter().map(|subject| subject.name.clone()).collect();
    for subject in subjects.iter() {
        let base = subject.case.kind.base();
        if let Err(refusal) = stage.put(subject.case.kind, &subject.name, &base).await {
            report.fault(subject.case, &base, format!("the way back was refused: {refusal}"));
        }
    }
    let verdict = |subject: &Subject, seen: &BTreeMap<String, Seen>| {
        let after = look(seen, &subject.name)?;
        judge::same(after, &subject.beginning)?;
        if !subject.has_moved && after.uid != subject.beginning.uid {
            return Err("nothing was carried out, and yet the way back restarted it".to_owned());
        }
        Ok(())
    };
    settle::settled(&stage.world, &names).await;
    settle::until(&stage.world, |seen| subjects.iter().all(|subject| verdict(subject, seen).is_ok())).await;
    let seen = settle::settled(&stage.world, &names).await;
    for subject in subjects.iter() {
        report.changes += 1;
        if let Err(why) = verdict(subject, &seen) {
            report.fault(subject.case, &subject.case.kind.base(), format!("on the way back: {why}"));
        }
    }
}

fn look<'a>(seen: &'a BTreeMap<String, Seen>, name: &str) -> Result<&'a Seen, String> {
    let seen = seen.get(name).ok_or_else(|| format!("{name} is not there"))?;
    if settle::is_at_rest(seen) {
        Ok(seen)
    } else {
        Err(format!("{name} does not come to rest: {:?}", seen.conditions))
    }
}

fn asks_for_restart(spec: &Value) -> bool {
    spec.get("restartedAt").is_some()
}
