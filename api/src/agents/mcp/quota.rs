//! Rate limits: the number of requests per minute of an actor, which may also come all at once.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use uuid::Uuid;

use crate::problem::Problem;

/// Number of actors above which idle ones are forgotten.
const KEPT: usize = 10_000;
const WINDOW: u32 = 60;

type Limiter = RateLimiter<Uuid, DashMapStateStore<Uuid>, DefaultClock, StateInformationMiddleware>;

pub struct Quotas {
    limiter: Limiter,
    calls_per_minute: NonZeroU32,
}

/// The remaining quota of an actor.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    quota: u32,
    remaining: u32,
    /// Seconds until more requests are allowed.
    seconds: u32,
}

impl Quotas {
    pub fn new(calls_per_minute: NonZeroU32) -> Self {
        let quota = Quota::per_minute(calls_per_minute);
        Self {
            limiter: RateLimiter::dashmap(quota).with_middleware(),
            calls_per_minute,
        }
    }

    /// Counts a request; returns an error if it exceeds the quota.
    pub fn count(&self, actor_id: Uuid) -> Result<Allowance, Allowance> {
        if self.limiter.len() > KEPT {
            self.limiter.retain_recent();
        }
        let quota = self.calls_per_minute.get();
        match self.limiter.check_key(&actor_id) {
            Ok(state) => Ok(Allowance {
                quota,
                remaining: state.remaining_burst_capacity(),
                seconds: WINDOW.div_ceil(quota),
            }),
            Err(not_until) => {
                let wait = not_until.wait_time_from(DefaultClock::default().now());
                Err(Allowance {
                    quota,
                    remaining: 0,
                    seconds: seconds(wait),
                })
            }
        }
    }
}

fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1_000))
        .unwrap_or(WINDOW)
        .max(1)
}

impl Allowance {
    /// Returns the answer to a request over the quota.
    pub fn exceeded(self) -> Response {
        let detail = format!(
            "an agent may send {} requests a minute; wait as long as Retry-After says",
            self.quota
        );
        let problem = Problem::quota_exceeded(detail, self.seconds);
        self.tell(problem.into_response())
    }

    /// Adds the remaining quota to the headers, in the IETF draft's form and in the common `X-RateLimit` form.
    pub fn tell(self, mut response: Response) -> Response {
        let Self {
            quota,
            remaining,
            seconds,
        } = self;
        let numbers = [
            ("x-ratelimit-limit", quota),
            ("x-ratelimit-remaining", remaining),
            ("x-ratelimit-reset", seconds),
        ];
        let texts = [
            ("ratelimit-policy", format!("\"mcp\";q={quota};w={WINDOW}")),
            ("ratelimit", format!("\"mcp\";r={remaining};t={seconds}")),
        ];
        let headers = response.headers_mut();
        for (name, number) in numbers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
        }
        for (name, text) in texts {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_actor_has_a_quota_of_their_own() {
        let quotas = Quotas::new(NonZeroU32::new(2).unwrap());
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(quotas.count(one).unwrap().remaining, 1);
        assert_eq!(quotas.count(one).unwrap().remaining, 0);
        let refused = quotas.count(one).unwrap_err().exceeded();
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()["ratelimit-policy"], "\"mcp\";q=2;w=60");
        assert_eq!(
            refused.headers()["retry-after"],
            refused.headers()["x-ratelimit-reset"]
        );
        assert_eq!(quotas.count(other).unwrap().remaining, 1);
    }
}
