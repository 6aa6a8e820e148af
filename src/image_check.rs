//! Is an image obtainable, on the node where it is to run? A probe Pod tells: running or terminated means yes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use kube::ResourceExt;
use sha2::{Digest as _, Sha256};

use crate::{
    api::names,
    apply,
    backoff::after,
    build::{self, Owner},
    context::Context,
    error::Error,
    health,
    lock::lock,
    memory::{Asked, Memory},
    references::hex,
    resolve::{Effective, effective::Image},
    timers::earliest,
    view::{Ownership, PodView, annotation, ownership, pod::ContainerState},
};

/// How long a "yes" is good for.
const GOOD_FOR: Duration = Duration::from_mins(10);

const NO_ANSWER: &str = "no clear answer about the image in time";

/// What the answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    namespace: String,
    node: String,
    images: Vec<Image>,
    pull_secrets: Vec<String>,
}

impl Question {
    /// The same without the node: the registry that gave the image to one gives it to the next.
    fn anywhere(&self) -> Self {
        Self { node: String::new(), ..self.clone() }
    }

    /// What tells it from others, short enough for an annotation.
    fn id(&self) -> String {
        hex(&Sha256::digest(format!("{self:?}")), 8)
    }
}

/// Every "yes" of the last minutes.
#[derive(Default)]
pub struct Answers(Mutex<HashMap<Question, Timestamp>>);

/// The answer for one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Obtainable,
    /// Not obtainable, in the node's words.
    Refused(String),
    /// Nobody knows.
    Unclear(&'static str),
    Pending {
        until: Timestamp,
    },
}

/// Asks for `images` of `effective`'s on `node`, by a probe that outlives this pass.
pub async fn check(
    ctx: &Context,
    owner: &Owner,
    effective: &Effective,
    images: Vec<Image>,
    node: &str,
    memory: &mut Memory,
) -> Result<Answer, Error> {
    let question = Question {
        namespace: owner.namespace.clone(),
        node: node.to_owned(),
        images,
        pull_secrets: effective.spec.image_pull_secrets.iter().map(|secret| secret.name.clone()).collect(),
    };
    let now = ctx.now();
    if is_known(&ctx.image_answers, &question.anywhere(), now) {
        return Ok(Answer::Obtainable);
    }
    let Some(probe) = current_probe(ctx, owner, &question).await? else {
        return ask(ctx, owner, effective, &question, memory).await;
    };
    let mine = memory.probe.as_mut().filter(|asked| asked.question == question.id());
    // Our own clock, where we asked: the API server's may differ by more than the patience.
    let asked = match mine {
        Some(mine) => {
            mine.was_seen = true;
            mine.at
        }
        None => probe.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0),
    };
    let answer = read(&probe, after(asked, ctx.settings.image_check_timeout), now);
    if answer == Answer::Obtainable {
        lock(&ctx.image_answers.0).insert(question.anywhere(), now);
    }
    if !matches!(answer, Answer::Pending { .. }) {
        remove(ctx, owner, &probe).await?;
        memory.probe = None;
    }
    Ok(answer)
}

/// Removes what is left of a question that this process no longer asks. Another operator's is left to it, unless it
/// is older than any answer takes: tells when that is.
pub async fn tidy(ctx: &Context, owner: &Owner, memory: &mut Memory) -> Result<Option<Timestamp>, Error> {
    let asked = memory.probe.take().map(|asked| asked.question);
    let mut left_until = None;
    for probe in probes(ctx, owner) {
        let is_mine = asked.is_some() && annotation(&probe.metadata, names::QUESTION) == asked.as_deref();
        let made = probe.metadata.creation_timestamp.as_ref().map_or(Timestamp::MIN, |time| time.0);
        let until = after(made, ctx.settings.image_check_timeout);
        if is_mine || until <= ctx.now() {
            remove(ctx, owner, &probe).await?;
        } else {
            left_until = earliest(left_until, Some(until));
        }
    }
    Ok(left_until)
}

/// This workspace's own probes that are not on their way out, the oldest first: of two operators that ask the same
/// at a time, both read the same one.
fn probes(ctx: &Context, owner: &Owner) -> Vec<Arc<PodView>> {
    let mut probes = ctx.stores.probes_of(&owner.namespace, &owner.name);
    probes.retain(|probe| {
        ownership(&probe.metadata, &owner.name, &owner.uid) == Ownership::Ours && !probe.is_terminating()
    });
    probes.sort_by_key(|probe| {
        (probe.metadata.creation_timestamp.as_ref().map(|time| time.0), probe.metadata.name.clone())
    });
    probes
}

fn is_known(answers: &Answers, question: &Question, now: Timestamp) -> bool {
    let mut answers = lock(&answers.0);
    answers.retain(|_, since| after(*since, GOOD_FOR) > now);
    answers.contains_key(question)
}

async fn ask(
    ctx: &Context,
    owner: &Owner,
    effective: &Effective,
    question: &Question,
    memory: &mut Memory,
) -> Result<Answer, Error> {
    let timeout = ctx.settings.image_check_timeout;
    let asked = memory.probe.as_ref().filter(|asked| asked.question == question.id() && !asked.was_seen);
    if let Some(asked) = asked {
        // It was made, and the cache does not have it yet. One that was seen and is gone without an answer was
        // taken away by somebody: that is no answer, and it is asked anew.
        let until = after(asked.at, timeout);
        return Ok(if ctx.now() < until { Answer::Pending { until } } else { Answer::Unclear(NO_ANSWER) });
    }
    let probe = build::probe::probe(owner, effective, &question.images, &question.node, &question.id());
    let at = ctx.now();
    if apply::pod::create_probe(&ctx.client, owner, &probe).await? {
        memory.probe = Some(Asked { question: question.id(), at, was_seen: false });
        return Ok(Answer::Pending { until: after(at, timeout) });
    }
    Ok(Answer::Unclear("the image was not looked for: the API server refused the Pod that would"))
}

/// The probe that asks this very question; any other of this workspace is removed.
async fn current_probe(
    ctx: &Context,
    owner: &Owner,
    question: &Question,
) -> Result<Option<Arc<PodView>>, Error> {
    let mut current = None;
    for probe in probes(ctx, owner) {
        let asks = annotation(&probe.metadata, names::QUESTION) == Some(&question.id());
        if asks && current.is_none() {
            current = Some(probe);
        } else {
            remove(ctx, owner, &probe).await?;
        }
    }
    Ok(current)
}

async fn remove(ctx: &Context, owner: &Owner, probe: &PodView) -> Result<(), Error> {
    apply::pod::delete(&ctx.client, &owner.namespace, &probe.name_any(), probe.uid()).await.map(|_| ())
}

/// What the probe's status says: all of its images have to be there.
fn read(probe: &PodView, until: Timestamp, now: Timestamp) -> Answer {
    let statuses = &probe.status.container_statuses;
    let answers: Vec<Option<Answer>> = probe
        .spec
        .containers
        .iter()
        .map(|asked| {
            let status = statuses.iter().find(|status| status.name == asked.name)?;
            of_container(asked.image.as_deref().unwrap_or_default(), &status.state)
        })
        .collect();
    if let Some(refused) = answers.iter().flatten().find(|answer| matches!(answer, Answer::Refused(_))) {
        return refused.clone();
    }
    if !answers.is_empty() && answers.iter().all(|answer| *answer == Some(Answer::Obtainable)) {
        return Answer::Obtainable;
    }
    if matches!(probe.status.phase.as_deref(), Some("Failed" | "Succeeded")) {
        return Answer::Unclear("the image was not looked for: the node refused the Pod that would");
    }
    if now >= until {
        return Answer::Unclear(NO_ANSWER);
    }
    Answer::Pending { until }
}

/// None while nothing is known of this one.
fn of_container(image: &str, state: &ContainerState) -> Option<Answer> {
    if state.running.is_some() || state.terminated.is_some() {
        return Some(Answer::Obtainable);
    }
    let waiting = state.waiting.as_ref()?;
    let why = waiting.message.as_ref().or(waiting.reason.as_ref()).cloned().unwrap_or_default();
    match waiting.reason.as_deref()? {
        reason if health::is_image_refusal(reason) => {
            Some(Answer::Refused(format!("image {image} can't be had: {why}")))
        }
        // The container is being made, or was: the image is there.
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" | "CrashLoopBackOff" => {
            Some(Answer::Obtainable)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn answer(state: Value, seconds: i64) -> Answer {
        let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "main", "image": "a:1"}]},
                "status": {"containerStatuses": [{"name": "main", "state": state}]}});
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        read(&serde_json::from_value(pod).unwrap(), at(60), at(seconds))
    }

    #[test]
    fn running_or_terminated_is_obtainable() {
        assert_eq!(
            answer(json!({"terminated": {"exitCode": 128, "reason": "StartError"}}), 0),
            Answer::Obtainable
        );
        assert_eq!(answer(json!({"running": {}}), 0), Answer::Obtainable);
    }

    #[test]
    fn every_word_for_no_is_a_refusal() {
        for reason in ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"] {
            let waiting = json!({"waiting": {"reason": reason, "message": "no such image"}});
            assert_eq!(answer(waiting, 0), Answer::Refused("image a:1 can't be had: no such image".into()));
        }
    }

    #[test]
    fn every_image_has_to_be_there() {
        let probe = |second: Value| -> PodView {
            serde_json::from_value(json!({"metadata": {},
                "spec": {"containers": [{"name": "main", "image": "a:1"}, {"name": "image-1", "image": "b:1"}]},
                "status": {"containerStatuses": [
                    {"name": "main", "state": {"terminated": {"exitCode": 128}}},
                    {"name": "image-1", "state": second}]}}))
            .unwrap()
        };
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let read = |second| read(&probe(second), at(60), at(0));
        assert_eq!(read(json!({"terminated": {"exitCode": 128}})), Answer::Obtainable);
        assert!(matches!(read(json!({"waiting": {"reason": "ContainerCreating"}})), Answer::Pending { .. }));
        let no = read(json!({"waiting": {"reason": "ErrImagePull", "message": "no"}}));
        assert_eq!(no, Answer::Refused("image b:1 can't be had: no".into()));
    }

    #[test]
    fn no_answer_in_time_is_unclear() {
        let creating = json!({"waiting": {"reason": "ContainerCreating"}});
        assert!(matches!(answer(creating.clone(), 59), Answer::Pending { .. }));
        assert!(matches!(answer(creating, 60), Answer::Unclear(_)));
    }
}
