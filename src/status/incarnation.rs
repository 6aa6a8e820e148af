//! What status says of the newest start.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    api::status::Incarnation,
    claim::Claim,
    decide::Step,
    failure::whole_seconds,
    registration::Registration,
    situation::{PodFacts, Situation},
};

use super::ours;

pub(super) fn compute(s: &Situation, step: &Step) -> Option<Incarnation> {
    match step {
        Step::Claim(claim, _) => Some(claimed(s, claim)),
        Step::TakeOver(number) => {
            let pod = ours(s)?;
            let mut incarnation = match &pod.claim {
                Some(claim) => claimed(s, claim),
                None => Incarnation { number: *number, inputs_hash: wanted_hash(s), ..Default::default() },
            };
            incarnation.start_time.clone_from(&pod.view.metadata.creation_timestamp);
            Some(with_pod(incarnation, pod))
        }
        _ => {
            let incarnation = s.incarnation()?.clone();
            match ours(s).filter(|pod| pod.number == incarnation.number) {
                Some(pod) => Some(with_pod(incarnation, pod)),
                None => Some(incarnation),
            }
        }
    }
}

fn claimed(s: &Situation, claim: &Claim) -> Incarnation {
    Incarnation {
        number: claim.number,
        generation: claim.generation,
        backend: Some(claim.backend).filter(|backend| !backend.is_pod()),
        pod_uid: None,
        start_time: Some(Time(whole_seconds(s.now))),
        cause: claim.cause,
        registration_time: None,
        ready_time: None,
        inputs_hash: Some(claim.inputs.hash()),
        class: claim.class.clone(),
        image: s.desired.effective.as_ref().ok().and_then(|effective| effective.image.clone()),
        image_id: None,
        node_name: None,
        container_restarts: None,
        built_by: Some(claim.built_by.clone()),
    }
}

/// A Pod that lost its claim is taken to be what is wanted: no doubt is worth a restart.
fn wanted_hash(s: &Situation) -> Option<String> {
    s.desired.effective.as_ref().ok().map(|effective| effective.inputs.hash())
}

fn with_pod(mut incarnation: Incarnation, pod: &PodFacts) -> Incarnation {
    let view = &pod.view;
    incarnation.pod_uid.clone_from(&view.metadata.uid);
    incarnation.node_name.clone_from(&view.spec.node_name);
    if let Some(image) = view.main().and_then(|main| main.image.clone()) {
        incarnation.image = Some(image);
    }
    if let Some(main) = view.main_status().filter(|_| view.backend.is_pod()) {
        incarnation.image_id = main.image_id.clone().filter(|id| !id.is_empty());
        incarnation.container_restarts = Some(main.restart_count);
    }
    incarnation.registration_time = match pod.registration {
        Registration::Registered { at } => at.map(Time),
        Registration::NotRequired | Registration::Awaited => None,
    };
    // The hash is stamped anew where the key of its Secret part was lost.
    if let Some(claim) = &pod.claim {
        incarnation.inputs_hash = Some(claim.inputs.hash());
    }
    incarnation
}
