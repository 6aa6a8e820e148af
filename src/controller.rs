//! Wiring: which watches wake which workspace, how many at a time, and what follows an error.

mod secrets;
mod wakes;

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, future::ready};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{DeserializeGuard, NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        Controller, Predicate, WatchStreamExt,
        controller::{self, Action},
        predicates,
        reflector::{self, ObjectRef, store::Writer},
        watcher,
    },
};
use serde::de::DeserializeOwned;

use crate::{
    api::{Workspace, WorkspaceClass, names},
    backoff::{self, after},
    context::Context,
    error::{Error, Retry as Class},
    memory::{Memory, Retry, Wish},
    readiness::Pending,
    reconcile,
    stores::Stores,
    unreadable,
    view::{DisruptionBudgetView, NetworkPolicyView, PodView, ServiceView, VolumeClaimView},
    watch,
};

use self::wakes::{all_in, but_for_status, by_label, users_of_class};

type Guarded = DeserializeGuard<Workspace>;

/// The first delay after a failed pass.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The delay after a conflict: the cache needs a moment to catch up.
const CONFLICT: Duration = Duration::from_millis(50);
/// More conflicts in a row than chance brings: something is wrong, and haste does not mend it.
const MOST_CONFLICTS: u32 = 5;
/// A net under everything: each workspace is looked at once in so long.
const RESYNC: Duration = Duration::from_hours(1);

/// The writing ends of the caches, which the watches fill.
pub struct Writers {
    workspaces: Writer<Guarded>,
    pods: Writer<PodView>,
    credentials: Writer<PartialObjectMeta<Secret>>,
    probes: Writer<PodView>,
    volume_claims: Writer<VolumeClaimView>,
    services: Writer<ServiceView>,
    policies: Writer<NetworkPolicyView>,
    disruption_budgets: Writer<DisruptionBudgetView>,
    classes: Writer<DeserializeGuard<WorkspaceClass>>,
    namespaces: Writer<PartialObjectMeta<Namespace>>,
}

/// Empty caches, and what fills them.
pub fn caches() -> (Stores, Writers) {
    let (workspaces, workspaces_writer) = reflector::store();
    let (pods, pods_writer) = reflector::store();
    let (credentials, credentials_writer) = reflector::store();
    let (probes, probes_writer) = reflector::store();
    let (volume_claims, volume_claims_writer) = reflector::store();
    let (services, services_writer) = reflector::store();
    let (policies, policies_writer) = reflector::store();
    let (disruption_budgets, disruption_budgets_writer) = reflector::store();
    let (classes, classes_writer) = reflector::store();
    let (namespaces, namespaces_writer) = reflector::store();
    (
        Stores {
            workspaces,
            pods,
            credentials,
            probes,
            volume_claims,
            services,
            policies,
            disruption_budgets,
            classes,
            namespaces,
        },
        Writers {
            workspaces: workspaces_writer,
            pods: pods_writer,
            credentials: credentials_writer,
            probes: probes_writer,
            volume_claims: volume_claims_writer,
            services: services_writer,
            policies: policies_writer,
            disruption_budgets: disruption_budgets_writer,
            classes: classes_writer,
            namespaces: namespaces_writer,
        },
    )
}

/// Reconciles until `shutdown`, and lets what is under way finish.
pub async fn run(
    ctx: Arc<Context>,
    writers: Writers,
    woken: impl Stream<Item = ObjectRef<Guarded>> + Send + 'static,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let Writers {
        workspaces,
        pods,
        credentials,
        probes,
        volume_claims,
        services,
        policies,
        disruption_budgets,
        classes,
        namespaces,
    } = writers;
    let (client, pending) = (&ctx.client, &ctx.pending);
    let namespace = ctx.settings.namespace.as_deref();
    let store = ctx.stores.workspaces.clone();

    let main =
        watch::cached(pending, "Workspace", watch::scope(client, namespace), watch::config(None), workspaces);
    let class_changed = ctx.gates.changed();
    let (in_class, in_namespace) = (store.clone(), store.clone());
    let controller = Controller::for_stream(noting(Arc::clone(&ctx), main).applied_objects(), store)
        .with_config(controller::Config::default().concurrency(ctx.settings.concurrency))
        .watches_stream(
            but_for_status(
                watch::cached(
                    pending,
                    "WorkspaceClass",
                    Api::all(client.clone()),
                    watch::config(None),
                    classes,
                )
                .inspect(move |_| class_changed.notify_one()),
            )
            .touched_objects(),
            move |class| users_of_class(&in_class.state(), &class.name_any()),
        )
        .watches_stream(
            namespaces_watch(pending, client, namespace, namespaces).touched_objects().predicate_filter(
                predicates::annotations.combine(predicates::labels),
                kube::runtime::PredicateConfig::default(),
            ),
            move |namespace| all_in(&in_namespace.state(), &namespace.name_any()),
        )
        .reconcile_all_on(resync(Arc::clone(&ctx)))
        .reconcile_all_on(relisted(pending.clone()))
        .reconcile_all_on(certificates_changed(&ctx))
        .reconcile_on(woken)
        .graceful_shutdown_on(shutdown);
    let controller = with_children(controller, &ctx, "Pod", names::WORKSPACE, pods);
    let controller = with_children(controller, &ctx, "probe Pod", names::PROBE_FOR, probes);
    let controller =
        with_children(controller, &ctx, "PersistentVolumeClaim", names::WORKSPACE, volume_claims);
    let controller = with_children(controller, &ctx, "Service", names::WORKSPACE, services);
    let controller = with_children(controller, &ctx, "NetworkPolicy", names::WORKSPACE, policies);
    let controller =
        with_children(controller, &ctx, "PodDisruptionBudget", names::WORKSPACE, disruption_budgets);
    let controller = secrets::watched(controller, &ctx, namespace, credentials);
    let of_pass = Arc::clone(&ctx);
    controller
        .run(pass, error_policy, ctx)
        .for_each(|result| {
            ended(&of_pass, result);
            ready(())
        })
        .await;
}

/// One kind of child, which names its workspace by `label`.
fn with_children<K>(
    controller: Controller<Guarded>,
    ctx: &Context,
    kind: &'static str,
    label: &'static str,
    writer: Writer<K>,
) -> Controller<Guarded>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
{
    let api = watch::scope(&ctx.client, ctx.settings.namespace.as_deref());
    let children = watch::cached(&ctx.pending, kind, api, watch::config(Some(label)), writer);
    controller.watches_stream(children.touched_objects(), move |child| by_label(&child, label))
}

/// What follows a pass, or the lack of one. It must not wait: nothing is watched meanwhile.
fn ended<T>(ctx: &Context, result: Result<T, controller::Error<Error, watcher::Error>>) {
    match result {
        // A child of a workspace that is gone.
        Err(controller::Error::ObjectNotFound(_)) => ctx.littered.notify_one(),
        // What was told where it happened.
        Ok(_) | Err(controller::Error::ReconcilerFailed(..)) => {}
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "running the controller");
        }
    }
}

fn namespaces_watch(
    pending: &Pending,
    client: &Client,
    namespace: Option<&str>,
    writer: Writer<PartialObjectMeta<Namespace>>,
) -> impl Stream<Item = watcher::Result<watcher::Event<PartialObjectMeta<Namespace>>>> + Send + use<> {
    let config = match namespace {
        Some(name) => watch::config(None).fields(&format!("metadata.name={name}")),
        None => watch::config(None),
    };
    watch::cached(pending, "Namespace", Api::all(client.clone()), config, writer)
}

/// What is remembered of a workspace goes with it, and the rollout gates count who is there.
fn noting(
    ctx: Arc<Context>,
    events: impl Stream<Item = watcher::Result<watcher::Event<Guarded>>> + Send,
) -> impl Stream<Item = watcher::Result<watcher::Event<Guarded>>> + Send {
    events.inspect(move |event| match event {
        Ok(watcher::Event::Apply(workspace) | watcher::Event::InitApply(workspace)) => {
            match &workspace.0 {
                Ok(workspace) => ctx.gates.note(workspace),
                // Whatever it was before, nothing is known of it now.
                Err(invalid) => ctx.gates.forget(invalid.metadata.uid.as_deref().unwrap_or_default()),
            }
        }
        Ok(watcher::Event::Delete(workspace)) => {
            let meta = workspace.meta();
            ctx.forget(meta.uid.as_deref().unwrap_or_default());
            let namespace = meta.namespace.as_deref().unwrap_or_default();
            ctx.references.register(
                namespace,
                meta.name.as_deref().unwrap_or_default(),
                std::collections::BTreeSet::new(),
            );
        }
        Ok(watcher::Event::InitDone) => {
            let uids =
                ctx.stores.workspaces.state().iter().filter_map(|one| one.meta().uid.clone()).collect();
            ctx.gates.retain(&uids);
        }
        Ok(watcher::Event::Init) | Err(_) => {}
    })
}

/// Every Pod is told of new certificates.
fn certificates_changed(ctx: &Context) -> impl Stream<Item = ()> + Send + use<> {
    let certificates = ctx.registration.as_ref().map(|registration| registration.certificates.clone());
    futures::stream::unfold(certificates, |certificates| async {
        let mut certificates = certificates?;
        certificates.changed().await.ok()?;
        certificates.borrow_and_update();
        Some(((), Some(certificates)))
    })
}

/// A Pod that an operator knows by a live look alone may have come and gone while its watch told nothing.
fn relisted(pending: Pending) -> impl Stream<Item = ()> + Send {
    futures::stream::unfold(pending, |pending| async {
        pending.relisted().await;
        Some(((), pending))
    })
}

fn resync(ctx: Arc<Context>) -> impl Stream<Item = ()> + Send {
    futures::stream::unfold(ctx, |ctx| async {
        tokio::time::sleep(RESYNC).await;
        ctx.references.expire();
        Some(((), ctx))
    })
}

/// One pass under a time limit, with what was remembered before and after it.
async fn pass(object: Arc<Guarded>, ctx: Arc<Context>) -> Result<Action, Error> {
    ctx.leadership.acquired().await;
    ctx.pending.wait().await;
    // That may have taken days.
    let newest = ctx.stores.workspaces.get(&ObjectRef::from_obj(object.as_ref()));
    let Some(object) = newest.filter(|newest| newest.meta().uid == object.meta().uid) else {
        return Ok(Action::await_change());
    };
    let workspace = match &object.0 {
        Ok(workspace) => workspace,
        Err(invalid) => {
            tracing::warn!(error = invalid.error, "the object can't be read");
            let (name, limit) =
                (invalid.metadata.name.clone().unwrap_or_default(), ctx.settings.reconcile_timeout);
            let told = tokio::time::timeout(limit, unreadable::tell(&ctx, invalid)).await;
            return told.unwrap_or(Err(Error::TimedOut { name, limit })).map(|()| Action::await_change());
        }
    };
    let uid = workspace.uid().unwrap_or_default();
    let mut memory = ctx.recall(&uid);
    let wish = Wish::of(workspace);
    if let Some(wait) = remaining(&memory, &wish, &ctx) {
        ctx.remember(&uid, memory);
        return Ok(Action::requeue(wait));
    }
    ctx.gates.attend(&uid);
    let limit = ctx.settings.reconcile_timeout;
    let workspace = Arc::new(workspace.clone());
    let result = tokio::time::timeout(limit, reconcile::reconcile(&ctx, &workspace, &mut memory)).await;
    let result = result.unwrap_or_else(|_| {
        // Whatever it was promised, it did not come to use it.
        ctx.gates.release(&uid);
        Err(Error::TimedOut { name: workspace.name_any(), limit })
    });
    memory.is_stale = matches!(result, Err(Error::Conflict { .. }));
    memory.conflicts = if memory.is_stale { memory.conflicts.saturating_add(1) } else { 0 };
    memory.retry = match &result {
        Err(error) if error.retry() == Class::BackOff || memory.conflicts > MOST_CONFLICTS => {
            Some(retry(error, &memory, wish, &ctx))
        }
        _ => None,
    };
    if let (Some(retry), Err(error)) = (&memory.retry, &result) {
        ctx.gates.rest(&uid);
        if retry.tries >= reconcile::WORTH_TELLING {
            reconcile::tell_trouble(&ctx, &workspace, &mut memory, error).await;
        }
    }
    memory.known = None;
    ctx.remember(&uid, memory);
    match result {
        Ok(visit) => Ok(visit.map_or_else(Action::await_change, |visit| Action::requeue(until(&ctx, visit)))),
        Err(error) => Err(error),
    }
}

/// The wait that a failed pass imposes, which events don't shorten but a changed wish does.
fn remaining(memory: &Memory, wish: &Wish, ctx: &Context) -> Option<Duration> {
    let retry = memory.retry.as_ref().filter(|retry| retry.wish == *wish && retry.not_before > ctx.now())?;
    Some(until(ctx, retry.not_before))
}

fn retry(error: &Error, memory: &Memory, wish: Wish, ctx: &Context) -> Retry {
    let same = memory.retry.as_ref().filter(|retry| retry.wish == wish);
    let tries = same.map_or(1, |retry| retry.tries.saturating_add(1));
    let delay = backoff::delay(tries, FIRST_RETRY, error.longest_delay(), ctx.jitter());
    Retry { tries, not_before: after(ctx.now(), delay), wish }
}

fn until(ctx: &Context, time: jiff::Timestamp) -> Duration {
    let wait = time.duration_since(ctx.now()).max(SignedDuration::from_millis(1));
    wait.try_into().unwrap_or(FIRST_RETRY)
}

// The signature is kube's.
#[allow(clippy::needless_pass_by_value)]
fn error_policy(object: Arc<Guarded>, error: &Error, ctx: Arc<Context>) -> Action {
    let reason = error.reason();
    match error.retry() {
        Class::Now => {
            tracing::debug!(error = error as &dyn std::error::Error, reason, "trying again at once");
            Action::requeue(CONFLICT)
        }
        Class::BackOff => {
            let uid = object.meta().uid.clone().unwrap_or_default();
            let memory = ctx.recall(&uid);
            let wait = memory.retry.as_ref().map_or(FIRST_RETRY, |retry| until(&ctx, retry.not_before));
            ctx.remember(&uid, memory);
            tracing::warn!(
                error = error as &dyn std::error::Error,
                reason,
                seconds = wait.as_secs_f32(),
                "trying again later"
            );
            Action::requeue(wait)
        }
    }
}
