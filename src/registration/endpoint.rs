//! Answers programs. Any replica does: what it needs to know is with the API server. A heartbeat costs no call as long as
//! the caches bear it out; whoever they speak against is looked at live before it is turned away.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use kube::{Api, runtime::reflector::ObjectRef};
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    api::{Workspace, names},
    apply,
    context::Context,
    heartbeats::{Doing, Speaker},
    lock::lock,
    observe,
    view::{Labels, PodView, label},
};

use super::{
    Answer, Beat, Identity, Process,
    head::{self, Route},
    identity,
    judge::{self, Incarnation, Objection},
    limits::{self, Buckets, Rate},
    peers::{Judge, PASSED_ON, Peers},
    request::{self, MOST_BYTES},
    review::review,
    tokens::Tokens,
};

/// Strangers of one address: a token that is refused costs one, and without any left none is asked about. Tokens that are
/// known don't come into it, whoever else has their address.
const FAILURES: Rate = Rate { burst: 32.0, per_second: 1.0 };
/// Requests of one Pod.
const REQUESTS: Rate = Rate { burst: 20.0, per_second: 2.0 };
/// Requests that ask the API server at a time.
const CALLS: usize = 64;
/// How long a request may take, with all that it asks.
const PATIENCE: Duration = Duration::from_secs(10);

/// The client is too slow, or broke off: the connection is cut.
#[derive(Debug, thiserror::Error)]
#[error("the body did not come in time")]
pub struct Cut;

enum Asked {
    Register(Process),
    Heartbeat { beat: Beat, body: Bytes, is_passed_on: bool },
}

/// Answers programs.
pub struct Endpoint {
    ctx: Arc<Context>,
    peers: Peers,
    calls: Semaphore,
    tokens: Mutex<Tokens>,
    failures: Mutex<Buckets<IpAddr>>,
    requests: Mutex<Buckets<String>>,
}

impl Endpoint {
    /// An endpoint that has verified nobody yet.
    pub fn new(ctx: Arc<Context>, peers: Peers) -> Self {
        Self {
            ctx,
            peers,
            calls: Semaphore::new(CALLS),
            tokens: Mutex::default(),
            failures: Mutex::new(Buckets::new(FAILURES)),
            requests: Mutex::new(Buckets::new(REQUESTS)),
        }
    }

    /// The answer to `request` from `peer`.
    pub async fn answer<B>(&self, peer: IpAddr, request: Request<B>) -> Result<Response<Full<Bytes>>, Cut>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let served = match self.admit(peer, request).await? {
            Ok((token, asked)) => tokio::time::timeout(PATIENCE, self.serve(peer, &token, asked))
                .await
                .unwrap_or(Err(Answer::Unavailable)),
            Err(answer) => Err(answer),
        };
        Ok(served.unwrap_or_else(Answer::into_response))
    }

    /// What can be said without asking anybody.
    async fn admit<B>(
        &self,
        peer: IpAddr,
        request: Request<B>,
    ) -> Result<Result<(String, Asked), Answer>, Cut>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let route = match head::route(&parts.method, parts.uri.path()) {
            Ok(route) => route,
            Err(answer) => return Ok(Err(answer)),
        };
        if !head::is_json(&parts.headers) {
            return Ok(Err(Answer::UnsupportedMediaType));
        }
        let token = match head::bearer(&parts.headers) {
            Some(token) if identity::is_plausible(token, self.ctx.now()) => token.to_owned(),
            _ => return Ok(Err(self.stranger(peer))),
        };
        let body = match tokio::time::timeout(PATIENCE, Limited::new(body, MOST_BYTES).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Ok(Err(Answer::TooLarge)),
            Ok(Err(_)) | Err(_) => return Err(Cut),
        };
        let asked = match route {
            Route::Register => request::register(&body).map(Asked::Register),
            Route::Heartbeat => {
                let is_passed_on = parts.headers.contains_key(PASSED_ON);
                request::heartbeat(&body).map(|beat| Asked::Heartbeat { beat, body, is_passed_on })
            }
        };
        Ok(asked.map(|asked| (token, asked)).map_err(|malformed| Answer::Malformed(malformed.to_string())))
    }

    async fn serve(&self, peer: IpAddr, token: &str, asked: Asked) -> Result<Response<Full<Bytes>>, Answer> {
        let answer = match asked {
            Asked::Register(process) => self.register(peer, token, &process).await?,
            Asked::Heartbeat { beat, body, is_passed_on } => match self.peers.judge() {
                Judge::Us => self.heartbeat(peer, token, &beat).await?,
                Judge::Other(leader) if !is_passed_on => {
                    return self.pass_on(peer, leader, token, body).await;
                }
                Judge::Other(_) | Judge::Nobody => return Err(Answer::Unavailable),
            },
        };
        Ok(answer.into_response())
    }

    /// Strangers don't get as far as the leader.
    async fn pass_on(
        &self,
        peer: IpAddr,
        leader: SocketAddr,
        token: &str,
        body: Bytes,
    ) -> Result<Response<Full<Bytes>>, Answer> {
        let identity = self.identify(peer, token).await?;
        let answer = self.peers.pass_on(leader, token, body).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            lock(&self.tokens).forget(&identity.uid);
        }
        Ok(answer)
    }

    /// Registers the process of a Pod, by what the API server says now.
    async fn register(&self, peer: IpAddr, token: &str, process: &Process) -> Result<Answer, Answer> {
        // Whoever is known pays first. Only the API server's word of now counts, though.
        let known = lock(&self.tokens).get(token, self.ctx.now()).cloned();
        if let Some(known) = &known {
            self.spend(known)?;
        }
        let _call = self.calls.acquire().await.map_err(|_| Answer::Unavailable)?;
        let identity = self.verify(peer, token).await?;
        if known.is_none() {
            self.spend(&identity)?;
        }
        let (pod, workspace) = self.live(&identity).await?;
        let incarnation = self.judge(&identity, pod.as_ref(), workspace.as_ref())?;
        let Some(pod) = pod else { return Err(Answer::Stale) };
        if let Some(mark) = judge::mark(&pod, process) {
            let written = apply::incarnation::register(&self.ctx.client, &pod, &mark, self.ctx.now()).await;
            match written {
                Ok(true) => {}
                Ok(false) => return Err(Answer::Stale),
                Err(error) => return Err(unavailable(&error)),
            }
            let Incarnation { workspace, number } = &incarnation;
            tracing::info!(namespace = identity.namespace, workspace, %number, "the program registered");
        }
        Ok(self.accepted(incarnation))
    }

    /// Takes note of a heartbeat.
    async fn heartbeat(&self, peer: IpAddr, token: &str, beat: &Beat) -> Result<Answer, Answer> {
        let identity = self.identify(peer, token).await?;
        if let Some(incarnation) = self.by_caches(&identity, beat) {
            return Ok(self.accepted(incarnation));
        }
        let _call = self.calls.acquire().await.map_err(|_| Answer::Unavailable)?;
        let (pod, workspace) = self.live(&identity).await?;
        let judged = self.judge(&identity, pod.as_ref(), workspace.as_ref());
        let has_registered = pod.as_ref().is_some_and(|pod| judge::is_registered(pod, &beat.process));
        if judged == Err(Answer::Suspended) && has_registered {
            // It lives, and what it does may yet keep it from being stopped.
            if let Some(workspace) = &workspace {
                self.note(&identity, workspace, beat);
            }
        }
        let incarnation = judged?;
        if !has_registered {
            return Err(Answer::RegisterFirst);
        }
        if let Some(workspace) = &workspace {
            self.note(&identity, workspace, beat);
        }
        Ok(self.accepted(incarnation))
    }

    /// The incarnation of a process that registered, if the caches have it so: then its heartbeat is noted. They may be
    /// late, so that they speak against it proves nothing.
    fn by_caches(&self, identity: &Identity, beat: &Beat) -> Option<Incarnation> {
        let Identity { namespace, backend, name, .. } = identity;
        let pod = self.ctx.stores.object(*backend, namespace, name)?;
        let name = label(&pod.metadata, names::WORKSPACE)?;
        let workspace = self.ctx.stores.workspaces.get(&ObjectRef::new(name).within(&identity.namespace))?;
        let workspace = workspace.0.as_ref().ok()?;
        let incarnation = self.incarnation(identity, Some(&pod), Some(workspace)).ok()?;
        judge::is_registered(&pod, &beat.process).then(|| {
            self.note(identity, workspace, beat);
            incarnation
        })
    }

    /// Who shows `token`, by what the API server said of it before; and takes one of its requests.
    async fn identify(&self, peer: IpAddr, token: &str) -> Result<Identity, Answer> {
        let known = lock(&self.tokens).get(token, self.ctx.now()).cloned();
        let identity = if let Some(identity) = known {
            identity
        } else {
            let _call = self.calls.acquire().await.map_err(|_| Answer::Unavailable)?;
            self.verify(peer, token).await?
        };
        self.spend(&identity)?;
        Ok(identity)
    }

    /// Who shows `token`, as the API server says now. The address pays beforehand, and gets it back unless the token is
    /// refused: so however many ask at a time, strangers have no more than so many questions.
    async fn verify(&self, peer: IpAddr, token: &str) -> Result<Identity, Answer> {
        let is_known = lock(&self.tokens).get(token, self.ctx.now()).is_some();
        if !is_known {
            self.charge(peer)?;
        }
        let reviewed = review(&self.ctx.client, token).await;
        let is_ours = |identity: &Identity| {
            self.ctx.settings.namespace.as_ref().is_none_or(|own| *own == identity.namespace)
        };
        let is_refused = matches!(reviewed, Ok(None));
        if !is_known && !is_refused {
            lock(&self.failures).refund(&limits::network(peer));
        }
        let reviewed = reviewed.map_err(|error| unavailable(&error))?;
        let identity = reviewed.filter(is_ours).ok_or(Answer::Unauthorized)?;
        lock(&self.tokens).insert(token, identity.clone(), self.ctx.now());
        Ok(identity)
    }

    /// The answer to somebody who shows nothing that could be good.
    fn stranger(&self, peer: IpAddr) -> Answer {
        self.charge(peer).err().unwrap_or(Answer::Unauthorized)
    }

    fn charge(&self, peer: IpAddr) -> Result<(), Answer> {
        let (mut failures, now) = (lock(&self.failures), Instant::now());
        let peer = limits::network(peer);
        failures.check(&peer, now).map_err(|retry_after| Answer::TooMany { retry_after })?;
        failures.charge(peer, now);
        Ok(())
    }

    fn spend(&self, identity: &Identity) -> Result<(), Answer> {
        let mut requests = lock(&self.requests);
        let now = Instant::now();
        requests.check(&identity.uid, now).map_err(|retry_after| Answer::TooMany { retry_after })?;
        requests.charge(identity.uid.clone(), now);
        Ok(())
    }

    /// The Pod of the identity's name, and its workspace.
    async fn live(&self, identity: &Identity) -> Result<(Option<PodView>, Option<Workspace>), Answer> {
        let Identity { namespace, backend, name, .. } = identity;
        let live = observe::incarnation::read(&self.ctx.client, namespace, *backend, name).await;
        let pod = live.map_err(|error| unavailable(&error))?;
        let Some(name) = pod.as_ref().and_then(|pod| label(&pod.metadata, names::WORKSPACE)) else {
            return Ok((pod, None));
        };
        let workspaces: Api<Workspace> = Api::namespaced(self.ctx.client.clone(), &identity.namespace);
        let workspace = workspaces.get_opt(name).await.map_err(|error| unavailable(&error))?;
        Ok((pod, workspace))
    }

    fn incarnation(
        &self,
        identity: &Identity,
        pod: Option<&PodView>,
        workspace: Option<&Workspace>,
    ) -> Result<Incarnation, Objection> {
        let namespace = self.ctx.stores.namespaces.get(&ObjectRef::new(&identity.namespace));
        let none = Labels::new();
        let holds = namespace.as_ref().and_then(|namespace| namespace.metadata.annotations.as_ref());
        judge::incarnation(identity, pod, workspace, holds.unwrap_or(&none))
    }

    fn judge(
        &self,
        identity: &Identity,
        pod: Option<&PodView>,
        workspace: Option<&Workspace>,
    ) -> Result<Incarnation, Answer> {
        self.incarnation(identity, pod, workspace).map_err(|objection| {
            tracing::debug!(namespace = identity.namespace, name = identity.name, ?objection, "turned away");
            if objection == Objection::Stale {
                lock(&self.tokens).forget(&identity.uid);
            }
            objection.into()
        })
    }

    fn note(&self, identity: &Identity, workspace: &Workspace, beat: &Beat) {
        let name = workspace.metadata.name.as_deref().unwrap_or_default();
        let told = workspace.status.as_ref().map(|status| Doing::told(status, &identity.uid));
        let before = told.unwrap_or(Doing::Unknown);
        let speaker = Speaker { uid: &identity.uid, namespace: &identity.namespace, name, before };
        if self.ctx.heartbeats.note(speaker, beat, self.ctx.now()) {
            self.ctx.waker.wake(&identity.namespace, name);
        }
    }

    fn accepted(&self, incarnation: Incarnation) -> Answer {
        let Incarnation { workspace, number } = incarnation;
        Answer::Accepted { workspace, incarnation: number, heartbeat: self.ctx.heartbeats.interval() }
    }
}

/// Never let through, and never told why.
fn unavailable<E: std::error::Error + 'static>(error: &E) -> Answer {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "the API server can't be asked about a program that registers"
    );
    Answer::Unavailable
}
