//! What stands before every method: judges each request by its caller, and lets it in at its pace. Streams ask it
//! again as they go on.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;

use super::{Caller, Role, Whom};
use crate::base::clock;
use crate::control::listen::Guard;
use crate::ledger::Actor;

/// Whose requests are of many messages, and may go on for days.
const ASKED_AS_A_STREAM: [&str; 2] = ["/SubmitMany", "/ServerReflectionInfo"];

/// A caller that was let in, as methods find it among a request's extensions.
#[derive(Debug, Clone)]
pub(in crate::control) struct Admitted {
    pub(in crate::control) actor: Actor,
    pub(in crate::control) caller: Caller,
    guard: Arc<Guard>,
    path: Arc<str>,
}

impl Admitted {
    /// Whether it would be let in now. A stream lives longer than a role, or a certificate, may.
    ///
    /// # Errors
    /// As at the gate.
    pub(in crate::control) fn still(&self) -> Result<(), Status> {
        judge(&self.guard, &self.caller, &self.path).map(drop)
    }
}

/// A service behind the gate.
#[derive(Debug, Clone)]
pub(in crate::control) struct Gate<S> {
    inner: S,
    guard: Arc<Guard>,
}

impl<S> Gate<S> {
    pub(in crate::control) fn new(inner: S, guard: Arc<Guard>) -> Self {
        Self { inner, guard }
    }
}

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // What was polled ready is the one to call.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let guard = Arc::clone(&self.guard);
        let caller = request.extensions().get::<Caller>().cloned();
        Box::pin(async move {
            // Before it is judged: who is refused again and again waits as well.
            if let Some(caller) = caller {
                caller.request().await;
            }
            match admit(&guard, &request) {
                Err(status) => Ok(status.into_http()),
                Ok(admitted) => {
                    let patience = Arc::clone(admitted.caller.patience());
                    request.extensions_mut().insert(admitted);
                    let path = request.uri().path();
                    let many = ASKED_AS_A_STREAM.iter().any(|method| path.ends_with(method));
                    let request = request.map(|body| match many {
                        true => patience.questions(body),
                        false => patience.question(body),
                    });
                    let answer = inner.call(request).await?;
                    Ok(answer.map(|body| patience.answer(body)))
                }
            }
        })
    }
}

fn admit(guard: &Arc<Guard>, request: &Request<Body>) -> Result<Admitted, Status> {
    let path = request.uri().path();
    let Some(caller) = request.extensions().get::<Caller>() else {
        return Err(Status::unauthenticated("the transport does not say who asks"));
    };
    let actor = judge(guard, caller, path)?;
    Ok(Admitted { actor, caller: caller.clone(), guard: Arc::clone(guard), path: path.into() })
}

fn judge(guard: &Guard, caller: &Caller, path: &str) -> Result<Actor, Status> {
    let refused = |whom: Whom<'_>, why: String, status: fn(String) -> Status| {
        // A path is the caller's own text.
        let path: String = path.chars().filter(|c| !c.is_control()).take(128).collect();
        guard.refusals().write(whom, caller.who().address(), &path, &why);
        status(why)
    };
    let (actor, role) = match guard.access().of(caller.who(), clock::now()) {
        Ok(known) => known,
        Err(why) => {
            let whom = caller.who().claimed();
            return Err(refused(Whom::Stranger(&whom), why, Status::permission_denied));
        }
    };
    let needed = Role::needed(path);
    if role < needed {
        let method = path.rsplit('/').next().unwrap_or_default();
        let why = format!("{method} is for the role {needed}, and '{actor}' is {role}");
        return Err(refused(Whom::Known(&actor), why, Status::permission_denied));
    }
    Ok(actor)
}
