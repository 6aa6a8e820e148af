//! The error answers of an API server: `metav1.Status` bodies.

use kube::core::{
    Status,
    response::{StatusCause, StatusDetails, StatusSummary},
};

use crate::kind::Kind;

/// An error answer. Boxed, since it is large and rare.
pub type Failure = Box<Status>;

/// Any error answer.
pub fn failure(code: u16, reason: &str, message: impl Into<String>) -> Failure {
    Box::new(Status {
        status: Some(StatusSummary::Failure),
        code,
        message: message.into(),
        metadata: None,
        reason: reason.to_owned(),
        details: None,
    })
}

fn about(mut status: Failure, kind: &Kind, name: &str, causes: Vec<StatusCause>) -> Failure {
    status.details = Some(StatusDetails {
        name: name.to_owned(),
        group: kind.group.to_owned(),
        kind: kind.plural.to_owned(),
        uid: String::new(),
        causes,
        retry_after_seconds: 0,
    });
    status
}

fn cause(reason: &str, message: impl Into<String>, field: impl Into<String>) -> StatusCause {
    StatusCause { reason: reason.to_owned(), message: message.into(), field: field.into() }
}

/// 404: no such object.
pub fn not_found(kind: &Kind, name: &str) -> Failure {
    let message = format!("{} \"{name}\" not found", kind.resource());
    about(failure(404, "NotFound", message), kind, name, Vec::new())
}

/// 404: no such resource or sub-resource.
pub fn no_such_resource() -> Failure {
    failure(404, "NotFound", "the server could not find the requested resource")
}

/// 409: the name is taken.
pub fn already_exists(kind: &Kind, name: &str) -> Failure {
    let message = format!("{} \"{name}\" already exists", kind.resource());
    about(failure(409, "AlreadyExists", message), kind, name, Vec::new())
}

/// 409: somebody else was faster.
pub fn conflict(kind: &Kind, name: &str, why: &str) -> Failure {
    let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.resource());
    about(failure(409, "Conflict", message), kind, name, Vec::new())
}

/// 409: the write was meant for another resourceVersion.
pub fn modified(kind: &Kind, name: &str) -> Failure {
    let why = "the object has been modified; please apply your changes to the latest version and try again";
    conflict(kind, name, why)
}

/// 409: fields that other managers own, as (manager, field).
pub(crate) fn field_conflicts(kind: &Kind, name: &str, fields: &[(String, String)]) -> Failure {
    let named: Vec<_> =
        fields.iter().map(|(manager, field)| format!("conflict with \"{manager}\": {field}")).collect();
    let plural = if fields.len() == 1 { "conflict" } else { "conflicts" };
    let message = format!("Apply failed with {} {plural}: {}", fields.len(), named.join("\n"));
    let causes = fields
        .iter()
        .map(|(manager, field)| {
            cause("FieldManagerConflict", format!("conflict with \"{manager}\""), field.as_str())
        })
        .collect();
    about(failure(409, "Conflict", message), kind, name, causes)
}

/// 403: an admission plugin refused.
pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Failure {
    let message = format!("{} \"{name}\" is forbidden: {why}", kind.resource());
    about(failure(403, "Forbidden", message), kind, name, Vec::new())
}

/// 403: no right to do this.
pub fn access_denied(verb: &str, resource: &str) -> Failure {
    failure(
        403,
        "Forbidden",
        format!("{resource} is forbidden: User \"test\" cannot {verb} resource \"{resource}\""),
    )
}

/// 403: nothing new is made in a namespace that is going away.
pub(crate) fn namespace_terminating(kind: &Kind, name: &str, namespace: &str) -> Failure {
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let mut status = forbidden(kind, name, &why);
    if let Some(details) = &mut status.details {
        let message = format!("namespace {namespace} is being terminated");
        details.causes = vec![cause("NamespaceTerminating", message, "metadata.namespace")];
    }
    status
}

/// 422: a field is not valid.
pub fn invalid(kind: &Kind, name: &str, field: &str, why: &str) -> Failure {
    let message = format!("{} \"{name}\" is invalid: {field}: {why}", kind.kind);
    let mut status = about(failure(422, "Invalid", message), kind, name, Vec::new());
    if let Some(details) = &mut status.details {
        kind.kind.clone_into(&mut details.kind);
        let reason = if why.starts_with("Forbidden") { "FieldValueForbidden" } else { "FieldValueInvalid" };
        details.causes = vec![cause(reason, why, field)];
    }
    status
}

/// 400.
pub fn bad_request(message: impl Into<String>) -> Failure {
    failure(400, "BadRequest", message)
}

/// 410: what was asked for is older than what is kept.
pub fn expired(asked: u64, oldest: u64) -> Failure {
    failure(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
}

/// 429, with a Retry-After where one is given.
pub fn too_many_requests(message: &str, retry_after_seconds: u32) -> Failure {
    let mut status = failure(429, "TooManyRequests", message);
    status.details = Some(StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds,
    });
    status
}

/// 429: an eviction that a budget does not allow.
pub(crate) fn budget_exhausted(budget: &str) -> Failure {
    let mut status =
        too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", 0);
    if let Some(details) = &mut status.details {
        let message = format!("The disruption budget {budget} does not allow another disruption now.");
        details.causes = vec![cause("DisruptionBudget", message, "")];
    }
    status
}

/// 500.
pub fn internal(message: &str) -> Failure {
    failure(500, "InternalError", format!("Internal error occurred: {message}"))
}

/// 503.
pub fn unavailable() -> Failure {
    failure(503, "ServiceUnavailable", "the server is currently unable to handle the request")
}

/// 504: the server gave up; the write may have happened.
pub fn timed_out() -> Failure {
    failure(504, "Timeout", "request timed out")
}
