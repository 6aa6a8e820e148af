//! From an HTTP request to an HTTP response.

use std::{io, time::Duration};

use bytes::Bytes;
use futures::stream;
use http::{
    Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
    request::Parts,
};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use kube::{client::Body, core::Status};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    call::{self, Query, Target, Verb},
    client::Session,
    failure::{self, Failure, bad_request},
    faults::Fault,
    kind::{self, Kind, Trait},
    object::Key,
    patch::Patch,
    recorder::Request,
    removal::Deletion,
    server::ApiServer,
    state::State,
    watch::Next,
    write::By,
};

/// The body of every answer.
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// What the state made of a request.
enum Outcome {
    Object(StatusCode, Value),
    Text(String),
    Watch(u64, Duration),
}

impl Outcome {
    fn code(outcome: &Result<Self, Failure>) -> u16 {
        match outcome {
            Ok(Self::Object(code, _)) => code.as_u16(),
            Ok(Self::Text(_) | Self::Watch(..)) => StatusCode::OK.as_u16(),
            Err(failure) => failure.code,
        }
    }
}

/// A request for a resource that exists.
struct Resource<'a> {
    kind: &'static Kind,
    target: &'a Target,
    query: &'a Query,
    parts: &'a Parts,
    request: &'a Request,
    client: &'a str,
    body: Value,
}

/// Answers a request of this client; an error breaks the connection.
pub(crate) async fn serve(
    server: ApiServer,
    session: Session,
    request: http::Request<Body>,
) -> Result<Answer, io::Error> {
    let entry = Request::of(&request, crate::recorder::peek(&request).as_ref());
    let (parts, body) = request.into_parts();
    let bytes = body.collect_bytes().await.map_err(io::Error::other)?;
    let Some(entry) = entry else {
        return Ok(text(StatusCode::NOT_FOUND, "404 page not found\n".to_owned()));
    };
    let answer = || execute(&server, &session, &parts, &bytes, &entry);
    match session.faults.strike(&entry) {
        None => Ok(answer()),
        Some(Fault::Answer(status)) => Ok(refused(&status)),
        Some(Fault::DoThenAnswer(status)) => {
            drop(answer());
            Ok(refused(&status))
        }
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::DoThenSilence) => {
            drop(answer());
            std::future::pending().await
        }
        Some(Fault::Disconnect) => Err(broken()),
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            Ok(answer())
        }
        Some(Fault::Hold(gate)) => {
            gate.pass().await;
            Ok(answer())
        }
        Some(Fault::First(act)) => {
            act(&entry);
            Ok(answer())
        }
    }
}

fn execute(server: &ApiServer, session: &Session, parts: &Parts, bytes: &Bytes, request: &Request) -> Answer {
    let Some(target) = Target::parse(parts.uri.path()) else { return refused(&failure::no_such_resource()) };
    let query = Query::of(&parts.uri);
    let Some(kind) = kind::by_path(&target.group, &target.version, &target.plural) else {
        // As the real one: its own groups answer with a Status, others with the text of an unknown page.
        return if target.group.is_empty() {
            refused(&failure::no_such_resource())
        } else {
            text(StatusCode::NOT_FOUND, "404 page not found\n".to_owned())
        };
    };
    let body = if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(bytes) };
    let outcome =
        body.map_err(|error| bad_request(format!("error decoding body: {error}"))).and_then(|body| {
            let client = session.name.as_str();
            let resource = Resource { kind, target: &target, query: &query, parts, request, client, body };
            server.with(|state| {
                let outcome = state.observed(client, request, |state| resource.answer(state), Outcome::code);
                if let Ok(Outcome::Watch(id, _)) = outcome
                    && session.faults.is_frozen(request)
                {
                    state.watches.freeze(id);
                }
                outcome
            })
        });
    match outcome {
        Ok(Outcome::Object(code, object)) => json_response(code, &object),
        Ok(Outcome::Text(content)) => text(StatusCode::OK, content),
        Ok(Outcome::Watch(id, limit)) => watch_response(server.clone(), id, limit),
        Err(status) => refused(&status),
    }
}

impl Resource<'_> {
    fn key(&self) -> Key {
        let namespace = self.target.namespace.as_deref().filter(|_| self.kind.is_namespaced());
        Key::new(namespace.unwrap_or_default(), self.target.name.as_deref().unwrap_or_default())
    }

    fn header(&self, name: http::HeaderName) -> &str {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn only_metadata(&self) -> bool {
        self.header(ACCEPT).contains("as=PartialObjectMetadata")
    }

    fn by(&self) -> By {
        let agent = self.header(USER_AGENT).split('/').next().filter(|name| !name.is_empty());
        By {
            manager: self.query.get("fieldManager").or(agent).unwrap_or("unknown").to_owned(),
            verb: self.request.verb,
            subresource: self.target.subresource.clone(),
            dry_run: self.query.is_dry_run(),
            force: self.query.is_set("force"),
            is_by_cluster: false,
        }
    }

    fn answer(self, state: &mut State) -> Result<Outcome, Failure> {
        let kind = self.kind;
        let verb = self.request.verb;
        if self.target.namespace.is_some() && !kind.is_namespaced() {
            return Err(failure::no_such_resource());
        }
        if let Some(subresource) = self.target.subresource.as_deref() {
            if !kind.has_subresource(subresource) {
                return Err(failure::no_such_resource());
            }
            match (subresource, verb) {
                ("log", Verb::Get) => return self.log(state),
                ("eviction", Verb::Create) => {
                    let how = Deletion::parse(self.query, &self.body["deleteOptions"]);
                    return Ok(Outcome::Object(StatusCode::CREATED, state.evict(&self.key(), &how)?));
                }
                ("token", Verb::Create) => {
                    let made = state.issue_token(&self.key(), &self.body)?;
                    return Ok(Outcome::Object(StatusCode::CREATED, made));
                }
                ("status" | "resize" | "finalize", Verb::Get | Verb::Update | Verb::Patch | Verb::Apply) => {}
                _ => return Err(not_supported()),
            }
        }
        if kind.has(Trait::Transient) {
            if verb != Verb::Create {
                return Err(not_supported());
            }
            return Ok(Outcome::Object(StatusCode::CREATED, state.review_token(kind, self.body)?));
        }
        let namespace = self.target.namespace.as_deref();
        let only_metadata = self.only_metadata();
        let ok = |object: Value| {
            let object = if only_metadata { crate::object::only_metadata(&object) } else { object };
            Ok(Outcome::Object(StatusCode::OK, object))
        };
        match verb {
            Verb::Get => {
                let key = self.key();
                let object =
                    state.store.get(kind, &key).ok_or_else(|| failure::not_found(kind, &key.name))?;
                ok((**object).clone())
            }
            Verb::List => {
                let list = state.list(kind, namespace, self.query, only_metadata)?;
                Ok(Outcome::Object(StatusCode::OK, list))
            }
            Verb::Watch => {
                let id = state.watch(kind, self.client, self.request, self.query, only_metadata)?;
                let limit = self.query.number("timeoutSeconds").unwrap_or(1800);
                Ok(Outcome::Watch(id, Duration::from_secs(limit)))
            }
            Verb::Create if kind.is_namespaced() && namespace.is_none() => Err(not_supported()),
            Verb::Create => {
                let by = self.by();
                let object = state.create(kind, namespace, self.body, &by)?;
                Ok(Outcome::Object(StatusCode::CREATED, object))
            }
            Verb::Update => ok(self.update(state)?),
            Verb::Patch => {
                let patch = Patch::parse(kind, call::content_type(&self.parts.headers), self.body.clone())?;
                ok(state.update(kind, &self.key(), &self.by(), |object| patch.patched(object))?)
            }
            Verb::Apply => {
                let (is_new, object) = state.apply(kind, &self.key(), &self.by(), self.body.clone())?;
                if is_new { Ok(Outcome::Object(StatusCode::CREATED, object)) } else { ok(object) }
            }
            Verb::Delete => {
                let how = Deletion::parse(self.query, &self.body);
                Ok(Outcome::Object(StatusCode::OK, state.delete(kind, &self.key(), &how)?))
            }
            Verb::DeleteCollection => self.delete_collection(state),
        }
    }

    fn update(&self, state: &mut State) -> Result<Value, Failure> {
        let (kind, key) = (self.kind, self.key());
        let version = crate::object::text(&self.body, "/metadata/resourceVersion");
        if version.is_empty() && kind.has(Trait::Conditional) && state.store.get(kind, &key).is_some() {
            let why = "Invalid value: 0: must be specified for an update";
            return Err(failure::invalid(kind, &key.name, "metadata.resourceVersion", why));
        }
        let body = self.body.clone();
        state.update(kind, &key, &self.by(), |_| Ok(body))
    }

    fn delete_collection(&self, state: &mut State) -> Result<Outcome, Failure> {
        let (kind, namespace) = (self.kind, self.target.namespace.as_deref());
        let list = state.list(kind, namespace, self.query, self.only_metadata())?;
        let how = Deletion::parse(self.query, &self.body);
        for item in crate::object::list(&list, "/items") {
            state.delete(kind, &crate::object::key(item), &how)?;
        }
        Ok(Outcome::Object(StatusCode::OK, list))
    }

    fn log(&self, state: &State) -> Result<Outcome, Failure> {
        let key = self.key();
        if state.store.get(self.kind, &key).is_none() {
            return Err(failure::not_found(self.kind, &key.name));
        }
        let is_previous = self.query.is_set("previous");
        let content = match state.logs.get(&(key.clone(), is_previous)) {
            Some(content) => content.clone(),
            None if is_previous => {
                let container = self.query.get("container").unwrap_or_default();
                let why = format!(
                    "previous terminated container \"{container}\" in pod \"{}\" not found",
                    key.name
                );
                return Err(bad_request(why));
            }
            None => String::new(),
        };
        let Some(limit) = self.query.number("tailLines").and_then(|lines| usize::try_from(lines).ok()) else {
            return Ok(Outcome::Text(content));
        };
        let lines: Vec<&str> = content.split_inclusive('\n').collect();
        Ok(Outcome::Text(lines[lines.len().saturating_sub(limit)..].concat()))
    }
}

fn not_supported() -> Failure {
    failure::failure(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    )
}

/// A Status as the API server writes it.
pub(crate) fn status_body(status: &Status) -> Value {
    let mut body = json!(status);
    body["kind"] = json!("Status");
    body["apiVersion"] = json!("v1");
    if body["metadata"].is_null() {
        body["metadata"] = json!({});
    }
    body
}

fn refused(status: &Status) -> Answer {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(code, &status_body(status));
    let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    if seconds > 0 {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn json_response(code: StatusCode, body: &Value) -> Answer {
    respond(
        code,
        "application/json",
        Full::from(body.to_string()).map_err(|never| match never {}).boxed_unsync(),
    )
}

fn text(code: StatusCode, body: String) -> Answer {
    respond(code, "text/plain", Full::from(body).map_err(|never| match never {}).boxed_unsync())
}

fn respond(code: StatusCode, content_type: &'static str, body: UnsyncBoxBody<Bytes, io::Error>) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "connection reset by the test")
}

/// Closes a watch when its client goes away.
struct OpenedWatch {
    server: ApiServer,
    id: u64,
    ends_at: Instant,
}

impl Drop for OpenedWatch {
    fn drop(&mut self) {
        self.server.with(|state| state.watches.close(self.id));
    }
}

fn watch_response(server: ApiServer, id: u64, limit: Duration) -> Answer {
    let watch = OpenedWatch { server, id, ends_at: Instant::now() + limit };
    let events = stream::unfold(Some(watch), |watch| async move {
        let watch = watch?;
        loop {
            let next = watch.server.with(|state| state.watches.next(watch.id, &state.store));
            match next {
                Next::Event(line) => return Some((Ok(Frame::data(line)), Some(watch))),
                Next::Over => return None,
                Next::Broken => return Some((Err(broken()), None)),
                Next::Wait(wake) => {
                    tokio::select! {
                        () = wake.notified() => {}
                        () = tokio::time::sleep_until(watch.ends_at) => return None,
                    }
                }
            }
        }
    });
    respond(StatusCode::OK, "application/json", StreamBody::new(events).boxed_unsync())
}
