//! One pass over one workspace: observe, decide, carry out, publish, until there is nothing to do but wait.

mod idle;
mod trouble;

pub use trouble::{WORTH_TELLING, tell_trouble};

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{Api, ResourceExt};

use crate::{
    api::{Workspace, WorkspaceStatus, class::Backend},
    apply::{self, Made, pod::Deleted},
    build::{self, Owner},
    context::Context,
    decide::{Rest, Step, decide},
    error::{Error, Retry},
    events, image_check,
    memory::{Candidate, Memory, Refused},
    observe,
    resolve::Effective,
    rest::{self, Shape},
    rollout::{self, Asker},
    situation::{PodState, Situation, Turn, Verdict, VolumeState},
    status,
    stores::Stores,
    timers, verify,
};

/// How long an event may take.
const EVENT_PATIENCE: Duration = Duration::from_secs(2);
/// More steps than any sound pass takes: a net under a loop that would not end.
const MOST_STEPS: usize = 24;

/// One pass. Answers with the time of the next visit, if time alone can bring something new.
pub async fn reconcile(
    ctx: &Context,
    cached: &Arc<Workspace>,
    memory: &mut Memory,
) -> Result<Option<Timestamp>, Error> {
    let mut pass = Pass { ctx, owner: observe::owner(cached), workspace: memory.newest(cached), memory };
    let policy = Stores::child(&ctx.stores.policies, &pass.owner.namespace, &pass.owner.name);
    pass.memory.refresh_policy(policy.as_deref());
    let (result, is_looking) = pass.run().await;
    // What was promised is needed while the place is written down, or the image is still being looked for.
    let has_place = pass.workspace.status.as_ref().is_some_and(rollout::has_place);
    let fails = result.as_ref().is_err_and(|error| error.retry() == Retry::BackOff);
    if !has_place && (fails || !is_looking) {
        ctx.gates.release(&pass.owner.uid);
    }
    result
}

fn class_of(situation: &Situation) -> Option<&str> {
    let effective = situation.desired.effective.as_ref().ok()?;
    effective.class.as_ref().map(|class| class.name.as_str())
}

/// The shell around the pure steps: it alone talks to the API server.
struct Pass<'a> {
    ctx: &'a Context,
    owner: Owner,
    workspace: Arc<Workspace>,
    memory: &'a mut Memory,
}

impl Pass<'_> {
    /// The whole pass. Answers also whether an image is still being looked for.
    async fn run(&mut self) -> (Result<Option<Timestamp>, Error>, bool) {
        let mut situation = match self.begin().await {
            Ok(situation) => situation,
            Err(error) => return (Err(error), false),
        };
        let result = self.settle(&mut situation).await;
        (result, matches!(situation.verdict, Some(Verdict::Pending { .. })))
    }

    async fn begin(&mut self) -> Result<Situation, Error> {
        if self.memory.is_stale {
            self.reread().await?;
        }
        let situation = self.observe().await?;
        self.memory.deadline = Some(situation.desired.progress_deadline);
        Ok(situation)
    }

    /// Takes step after step until there is none.
    async fn settle(&mut self, situation: &mut Situation) -> Result<Option<Timestamp>, Error> {
        for _ in 0..MOST_STEPS {
            match decide(situation) {
                Step::Rest(rest) => return self.rest(situation, rest).await,
                step => {
                    if let Err(error) = self.take(step.clone(), situation).await {
                        self.memory.known = trouble::found_out(situation, &step);
                        return Err(error);
                    }
                }
            }
        }
        Err(Error::Restless { name: self.owner.name.clone() })
    }

    async fn observe(&self) -> Result<Situation, Error> {
        observe::situation(self.ctx, &self.workspace, self.memory).await
    }

    /// Carries out one step and brings `situation` up to what it led to.
    async fn take(&mut self, step: Step, situation: &mut Situation) -> Result<(), Error> {
        match &step {
            Step::Rest(_) => {}
            Step::ReadPod => situation.pod = self.read_pod(situation).await?,
            Step::ReadBoth => {
                self.reread().await?;
                *situation = self.observe().await?;
                situation.pod = self.read_pod(situation).await?;
                situation.is_live = true;
            }
            Step::TakeTurn(asker) => situation.turn = Some(self.take_turn(situation, *asker)),
            Step::ConfirmTurn => situation.turn = Some(self.confirm_turn(situation).await?),
            Step::Look => self.look(situation).await,
            Step::Hold { since } => self.set_idle_hold(situation, Some(*since)).await?,
            Step::Wake => self.set_idle_hold(situation, None).await?,
            Step::Verify => self.verify(situation).await?,
            Step::TakePlace
            | Step::RecordStop(_)
            | Step::RecordLoss(_)
            | Step::Claim(..)
            | Step::TakeOver(_) => {
                self.publish(situation, &step).await?;
            }
            Step::Delete { uid } => self.delete(situation, uid).await?,
            Step::Start => self.start(situation).await?,
        }
        Ok(())
    }

    /// Nothing more to do: keeps the children in shape, says how things stand, and waits.
    async fn rest(&mut self, situation: &mut Situation, rest: Rest) -> Result<Option<Timestamp>, Error> {
        // What fails here must not keep status from telling the rest.
        let shape = rest::keep_in_shape(self.ctx, &self.owner, situation, &rest, self.memory).await;
        let tidied = match &situation.verdict {
            Some(Verdict::Pending { .. }) => Ok(None),
            _ => image_check::tidy(self.ctx, &self.owner, self.memory).await,
        };
        if matches!(shape, Ok(Shape::LookAgain)) {
            // What status would say now is known to be over.
            return Ok(Some(situation.now));
        }
        let step = Step::Rest(rest);
        let next = status::compute(situation, &step);
        let beside = shape.and(tidied);
        if beside.is_err() && trouble::is_told_next(self.memory) {
            // It is told with what is wrong, or it would be told two ways in turn.
            self.memory.known = Some(next);
            return beside;
        }
        let said_again_at = self.say(situation, next).await?;
        let others = timers::earliest(beside?, self.asked_again_at(situation));
        let others = timers::earliest(others, said_again_at);
        Ok(timers::earliest(timers::next_visit(situation, &step), others))
    }

    /// When a refused change of the volume claim is asked about again.
    fn asked_again_at(&self, situation: &Situation) -> Option<Timestamp> {
        let refused = self.memory.volume.as_ref()?;
        Some(refused.refusal.retry_at).filter(|time| *time > situation.now)
    }

    async fn read_pod(&self, situation: &Situation) -> Result<PodState, Error> {
        observe::read_pod(self.ctx, &self.owner, situation, self.memory).await
    }

    /// Takes the workspace as the API server has it. One that is gone, or another of its name, is left to the
    /// watch to tell.
    async fn reread(&mut self) -> Result<(), Error> {
        let api: Api<Workspace> = Api::namespaced(self.ctx.client.clone(), &self.owner.namespace);
        let live = api.get_opt(&self.owner.name).await;
        let live = live.map_err(Error::call("get", "Workspace", &self.owner.name))?;
        if let Some(live) = live.filter(|live| live.uid() == self.workspace.uid()) {
            self.workspace = Arc::new(live);
            self.memory.written = Some(Arc::clone(&self.workspace));
        }
        Ok(())
    }

    fn take_turn(&self, situation: &Situation, asker: Asker) -> Turn {
        match self.ctx.gates.ask(&self.owner.uid, class_of(situation), asker) {
            Ok(()) => Turn::Granted,
            Err(closed) => {
                tracing::debug!(?closed, "no turn in the rollout");
                Turn::Waits
            }
        }
    }

    async fn confirm_turn(&self, situation: &Situation) -> Result<Turn, Error> {
        let version = self.workspace.resource_version().and_then(|version| version.parse().ok()).unwrap_or(0);
        match self.ctx.gates.confirm(&self.owner.uid, class_of(situation), version).await {
            Some(true) => Ok(Turn::Confirmed),
            Some(false) => Ok(Turn::Waits),
            None => Err(Error::Unseen { name: self.owner.name.clone() }),
        }
    }

    async fn verify(&mut self, situation: &mut Situation) -> Result<(), Error> {
        let (PodState::Ours(pod), Ok(effective)) = (&situation.pod, &situation.desired.effective) else {
            return Ok(());
        };
        let verdict = verify::verify(self.ctx, &self.owner, situation, pod, effective, self.memory).await?;
        situation.verdict = Some(verdict);
        Ok(())
    }

    async fn publish(&mut self, situation: &mut Situation, step: &Step) -> Result<(), Error> {
        if matches!(step, Step::Claim(..)) && situation.volume == VolumeState::Lost {
            // A claim accepts the loss, and has to say so: the restart it serves is pending no more.
            situation.volume = VolumeState::Absent;
        }
        let next = status::compute(situation, step);
        self.write(next.clone()).await?;
        situation.status = next;
        if let Step::Claim(..) = step {
            situation.refusal = None;
            self.memory.refused = None;
            self.memory.declined = None;
        }
        // What was asked for is in status now; what is pending has to be judged by it.
        let desired = self.observe().await?.desired;
        if desired.effective != situation.desired.effective {
            // Class or references moved on: it was something else that was verified.
            situation.verdict = None;
        }
        situation.desired = desired;
        observe::listen(self.ctx, situation);
        Ok(())
    }

    /// Says how things stand, unless another writer unsays it again and again: then answers when to say it.
    async fn say(
        &mut self,
        situation: &Situation,
        next: WorkspaceStatus,
    ) -> Result<Option<Timestamp>, Error> {
        let current = self.workspace.status.clone().unwrap_or_default();
        let pause = self.memory.said.pause(&current, &next, situation.now, situation.jitter);
        if pause.is_none() {
            self.write(next).await?;
        }
        Ok(pause)
    }

    async fn write(&mut self, next: WorkspaceStatus) -> Result<(), Error> {
        let before = self.workspace.status.clone().unwrap_or_default();
        if let Some(written) = apply::status::publish(&self.ctx.client, &self.workspace, &next).await? {
            self.memory.written = Some(Arc::clone(&written));
            self.memory.said.note(&next);
            self.workspace = Arc::clone(&written);
            // A courtesy, and not worth the pass.
            let _ = tokio::time::timeout(EVENT_PATIENCE, events::tell(self.ctx, &written, &before)).await;
        }
        Ok(())
    }

    async fn delete(&mut self, situation: &mut Situation, uid: &str) -> Result<(), Error> {
        let backend = match &situation.pod {
            PodState::Ours(pod) => pod.view.backend,
            PodState::Absent | PodState::Gone | PodState::Former => Backend::Pod,
        };
        tracing::info!(uid, "deleting the {}", backend.kind());
        let deleted = apply::incarnation::delete(&self.ctx.client, &self.owner, backend, uid).await?;
        situation.pod = match deleted {
            Deleted::Gone => PodState::Absent,
            Deleted::Terminating(view) => match &situation.pod {
                PodState::Ours(pod) => {
                    let mut pod = pod.clone();
                    pod.view = Arc::from(view);
                    PodState::Ours(pod)
                }
                other => other.clone(),
            },
        };
        self.memory.deleted = Some(uid.to_owned());
        Ok(())
    }

    /// Volume, Service, and last the Pod. A "no" to any of them keeps the claim.
    async fn start(&mut self, situation: &mut Situation) -> Result<(), Error> {
        let Ok(effective) = situation.desired.effective.clone() else { return Ok(()) };
        if let Some(no) = self.make_companions(situation, &effective).await? {
            self.refuse(situation, no);
            return Ok(());
        }
        if situation.volume == VolumeState::Terminating {
            return Ok(());
        }
        let claim = situation.claimed(&effective);
        let certificates = self.ctx.certificates();
        let made = apply::incarnation::create(
            &self.ctx.client,
            &self.owner,
            &effective,
            &claim,
            certificates.as_deref(),
        );
        match made.await? {
            Some(Made::Made(view)) => {
                tracing::info!(number = %claim.number, "made the {}", effective.backend.kind());
                self.memory.made = Some(claim.number);
                self.memory.refused = None;
                situation.made = self.memory.made;
                situation.refusal = None;
                let facts = observe::facts(self.ctx, situation, self.memory, observe::shared(view)).await?;
                situation.pod = PodState::Ours(Box::new(facts));
            }
            Some(Made::Refused(reason, message)) => self.refuse(situation, (reason, message)),
            None => self.name_is_in_use(situation, effective.backend).await?,
        }
        Ok(())
    }

    async fn make_companions(
        &mut self,
        situation: &mut Situation,
        effective: &Effective,
    ) -> Result<Option<apply::No>, Error> {
        if situation.volume == VolumeState::Absent || situation.volume == VolumeState::Lost {
            match apply::children::make_volume_claim(&self.ctx.client, &self.owner, effective).await? {
                Some(Made::Refused(reason, message)) => return Ok(Some((reason, message))),
                Some(Made::Made(claim)) => {
                    if let Some(own) = effective.own_volume() {
                        let wanted = build::volume_claim::volume_claim(&self.owner, own);
                        situation.volume = observe::of_claim(&self.owner, &claim, &wanted);
                    }
                }
                None => {}
            }
        }
        if let Some(no) = self.make_policy(effective).await? {
            return Ok(Some(no));
        }
        let wanted = build::service::service(&self.owner, effective);
        let live = Stores::child(&self.ctx.stores.services, &self.owner.namespace, &self.owner.name);
        apply::children::adjust_service(&self.ctx.client, &self.owner, wanted.as_ref(), live.as_deref()).await
    }

    /// Before the Pod nobody owns it: see [`build::network_policy`].
    async fn make_policy(&mut self, effective: &Effective) -> Result<Option<apply::No>, Error> {
        let Some(network) = &effective.network else { return Ok(None) };
        let namespace = &self.ctx.settings.operator_namespace;
        let wanted = build::network_policy::network_policy(
            &self.owner,
            network,
            effective.probe_port(),
            None,
            namespace,
        );
        let live = rest::policy::current(self.ctx, &self.owner, self.memory);
        match apply::network_policy::put(&self.ctx.client, &self.owner, &wanted, live.as_deref()).await? {
            Made::Made(policy) => {
                self.memory.policy = Some(Arc::new(policy));
                Ok(None)
            }
            Made::Refused(reason, message) => Ok(Some((reason, message))),
        }
    }

    fn refuse(&mut self, situation: &mut Situation, no: apply::No) {
        let candidate = Candidate::of(situation);
        let before = self.memory.refused.as_ref();
        let refused = Refused::note(before, candidate, no.0, no.1, situation.now, situation.jitter);
        situation.refusal = Some(refused.refusal.clone());
        self.memory.refused = Some(refused);
    }

    /// The name is in use: by our own Pod that the cache lacks, a former one's, or somebody else's.
    async fn name_is_in_use(&mut self, situation: &mut Situation, backend: Backend) -> Result<(), Error> {
        match self.read_pod(situation).await? {
            PodState::Gone | PodState::Absent => {
                let no = apply::name_taken(backend.kind(), &backend.object_name(&self.owner.name));
                self.refuse(situation, no);
            }
            found => {
                situation.pod = found;
                self.memory.refused = None;
                situation.refusal = None;
            }
        }
        Ok(())
    }
}
