//! Which method goes to which handler.

use std::{collections::HashMap, pin::Pin, sync::Arc};

use bytes::Bytes;
use rookery_protocol::{
    codec,
    request::{Answer, Caller as _, Failure, Outcome, RateClass, Refusal, Request},
    session::Principal,
};

use super::{
    Place,
    middleware::{Middleware, Next},
};
use crate::service::{Services, seat::Seat};

/// What a handler has beside the request: the services, and the connection that it came over.
#[derive(Clone)]
pub struct Context {
    /// What decisions are made with.
    pub services: Arc<Services>,
    /// Where the server is.
    pub place: Arc<Place>,
    /// The connection's seat.
    pub seat: Arc<Seat>,
}

/// One request on its way to its handler.
pub struct Call {
    /// Which.
    pub method: &'static str,
    /// What it is charged to.
    pub rate: RateClass,
    /// The encoded request.
    pub body: Vec<u8>,
    /// Who asks.
    pub principal: Principal,
    /// All else.
    pub context: Context,
}

type Future<T> = Pin<Box<dyn std::future::Future<Output = T> + Send>>;
pub(super) type Handler = dyn Fn(Call) -> Future<Result<Bytes, Refusal>> + Send + Sync;

struct Route {
    method: &'static str,
    rate: RateClass,
    max_bytes: usize,
    handler: Box<Handler>,
}

/// Methods and their handlers.
pub struct Router {
    services: Arc<Services>,
    place: Arc<Place>,
    middleware: Vec<Box<dyn Middleware>>,
    routes: HashMap<&'static str, Route>,
}

impl Router {
    /// A router that knows no method yet.
    #[must_use]
    pub fn new(services: Arc<Services>, place: Place) -> Self {
        Self { services, place: Arc::new(place), middleware: vec![], routes: HashMap::new() }
    }

    /// Does `middleware` around every call, inside of what was added before.
    #[must_use]
    pub(super) fn with(mut self, middleware: impl Middleware + 'static) -> Self {
        self.middleware.push(Box::new(middleware));
        self
    }

    /// Answers every `R` with `handler`.
    #[must_use]
    pub fn on<R, F, Fut>(mut self, handler: F) -> Self
    where
        R: Request,
        F: Fn(Context, R::Caller, R) -> Fut + Clone + Send + Sync + 'static,
        Fut: std::future::Future<Output = Outcome<R>> + Send,
    {
        let handler: Box<Handler> = Box::new(move |call: Call| {
            let handler = handler.clone();
            Box::pin(async move {
                let caller = R::Caller::admit(&call.principal).ok_or(match call.principal {
                    Principal::Anonymous => Refusal::NotAuthenticated,
                    _ => Refusal::NotPermitted,
                })?;
                let request =
                    codec::decode_within(&call.body, R::MAX_BYTES).map_err(
                        |error| match error {
                            codec::Malformed::TooLarge { .. } => Refusal::TooLarge,
                            _ => Refusal::Malformed,
                        },
                    )?;
                drop(call.body);
                answer_bytes::<R>(handler(call.context, caller, request).await)
            })
        });
        let route = Route { method: R::METHOD, rate: R::RATE, max_bytes: R::MAX_BYTES, handler };
        let former = self.routes.insert(R::METHOD, route);
        debug_assert!(former.is_none(), "{} has two handlers", R::METHOD);
        self
    }

    /// How many bytes a request of `method` may take.
    pub fn max_bytes(&self, method: &str) -> Result<usize, Refusal> {
        self.routes.get(method).map(|route| route.max_bytes).ok_or(Refusal::UnknownMethod)
    }

    /// The services that handlers are given.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Every method that has a handler.
    #[must_use]
    pub fn methods(&self) -> Vec<&'static str> {
        let mut methods: Vec<_> = self.routes.keys().copied().collect();
        methods.sort_unstable();
        methods
    }

    /// Takes a request through the middleware, outermost first, to its handler, and gives the encoded answer.
    pub async fn answer(&self, method: &str, body: Vec<u8>, seat: Arc<Seat>) -> Bytes {
        let answered = match self.routes.get(method) {
            Some(route) => {
                let context = Context {
                    services: Arc::clone(&self.services),
                    place: Arc::clone(&self.place),
                    seat,
                };
                let principal = context.seat.principal();
                let call =
                    Call { method: route.method, rate: route.rate, body, principal, context };
                Next { rest: &self.middleware, handler: &*route.handler }.run(call).await
            }
            None => Err(Refusal::UnknownMethod),
        };
        answered.unwrap_or_else(|refusal| refuse(&refusal))
    }
}

/// An answer that is a refusal.
pub(super) fn refuse(refusal: &Refusal) -> Bytes {
    codec::encode(&Answer::<(), rookery_protocol::request::Never>::Refused(refusal.clone())).into()
}

fn answer_bytes<R: Request>(outcome: Outcome<R>) -> Result<Bytes, Refusal> {
    match outcome {
        Err(Failure::Refused(refusal)) => Err(refusal),
        outcome => Ok(codec::encode(&Answer::from(outcome)).into()),
    }
}
