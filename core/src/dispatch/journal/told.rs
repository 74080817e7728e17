//! Dispatches as clients of shapes see them, in three tables: how each entity is dispatched, its newest wake, and who claimed
//! that (electric shapes, section 4). What was before is in the journal.

use serde_json::{Value as Json, json};

use super::past::Past;
use super::step::{Step, target};
use super::{Kept, Record};
use crate::store::{
    Columns, EntityRow, Kind, Read, SqlError, SubscriptionRow, Table, WakeInFlight, columns, tenant, timestamp,
};
use crate::stream::Offset;
use crate::subscription::subscription_of;
use crate::time::Time;

/// A row of one of the tables, by its key in the log of changes.
pub(crate) type Told = (Table, String, Columns);

/// The rows that a subscription makes: those of the entity that its newest wake is about. None while there is no such wake.
pub(crate) fn rows(read: &Read<'_>, subscription: &SubscriptionRow) -> Result<Vec<Told>, SqlError> {
    let Some((entity, view)) = view(read, subscription)? else { return Ok(Vec::new()) };
    let mut rows = vec![(Table::DispatchState, entity.url.clone(), view.state(&entity))];
    if let Some(wake) = view.newest.wake.clone() {
        rows.push((Table::WakeNotifications, wake.clone(), view.notification(read, &entity, &wake)?));
        rows.extend(view.claim(&entity, &wake).map(|claim| (Table::ConsumerClaims, wake, claim)));
    }
    Ok(rows)
}

/// How an entity is dispatched. Every entity has such a row, if only an empty one.
pub(crate) fn state_of(read: &Read<'_>, entity: &EntityRow) -> Result<Columns, SqlError> {
    for subscription in read.dispatches_of(entity.id)? {
        if let Some((about, view)) = view(read, &subscription)?
            && about.id == entity.id
        {
            return Ok(view.state(entity));
        }
    }
    Ok(at_rest(entity))
}

/// The rows of an entity's newest wakes, of one of the tables.
pub(crate) fn rows_of(read: &Read<'_>, table: Table, entity: &EntityRow) -> Result<Vec<(String, Columns)>, SqlError> {
    let mut found = Vec::new();
    for subscription in read.dispatches_of(entity.id)? {
        let rows = rows(read, &subscription)?.into_iter();
        let rows = rows.filter(|(of, _, columns)| *of == table && columns["entity_url"] == entity.url.as_str());
        found.extend(rows.map(|(_, key, columns)| (key, columns)));
    }
    Ok(found)
}

/// The row of a wake in one of the tables.
pub(crate) fn row(read: &Read<'_>, table: Table, wake: &str) -> Result<Option<Columns>, SqlError> {
    let Some(subscription) = subscription_of(wake).map(|id| read.subscription(id)).transpose()?.flatten() else {
        return Ok(None);
    };
    let row = rows(read, &subscription)?.into_iter().find(|(of, key, _)| *of == table && key == wake);
    Ok(row.map(|(_, _, columns)| columns))
}

/// The state of an entity that no wake was ever about, or that is no longer dispatched.
pub(crate) fn at_rest(entity: &EntityRow) -> Columns {
    let mut state: Columns = NOTHING_YET.iter().map(|name| ((*name).to_owned(), Json::Null)).collect();
    state.extend(columns([
        ("tenant_id", tenant()),
        ("entity_url", Some(entity.url.clone())),
        ("pending_source_streams", Some("[]".to_owned())),
        ("updated_at", timestamp(entity.created_at)),
    ]));
    state
}

/// A subscription that dispatches, and what is kept of its newest wake and those before.
struct View<'s> {
    subscription: &'s SubscriptionRow,
    newest: Record,
    before: Option<Record>,
    past: Past,
}

/// What a subscription's newest wake is about, while it is linked to that.
fn view<'s>(read: &Read<'_>, subscription: &'s SubscriptionRow) -> Result<Option<(EntityRow, View<'s>)>, SqlError> {
    if subscription.plain {
        return Ok(None);
    }
    let Kept { last: before, now, past } = Kept::of(subscription)?;
    let Some(newest) = now else { return Ok(None) };
    if !read.is_linked(newest.entity, subscription.id)? {
        return Ok(None);
    }
    let entity = read.entity_by_id(newest.entity)?;
    Ok(entity.map(|entity| (entity, View { subscription, newest, before, past })))
}

impl View<'_> {
    /// The wake in flight, if that is the newest.
    fn in_flight(&self) -> Option<&WakeInFlight> {
        self.subscription.wake.as_ref().filter(|wake| self.newest.wake.as_ref() == Some(&wake.id))
    }

    /// Who has it.
    fn held(&self) -> Option<&WakeInFlight> {
        self.in_flight().filter(|wake| wake.held)
    }

    /// How it ended; what is called under it afterwards changes nothing.
    fn ended(&self) -> Option<&Step> {
        self.newest.last(ENDS).filter(|_| self.in_flight().is_none())
    }

    fn runner(&self) -> Option<String> {
        match &self.subscription.kind {
            Kind::Runner { runner } => Some(runner.clone()),
            Kind::Webhook { .. } | Kind::Stream { .. } => None,
        }
    }

    /// The last step of some kinds, of the newest wake or the one before.
    fn last(&self, kinds: &[&str]) -> Option<&Step> {
        self.newest.last(kinds).or_else(|| self.before.as_ref()?.last(kinds))
    }

    fn state(&self, entity: &EntityRow) -> Columns {
        let (wake, held) = (self.in_flight(), self.held());
        let outstanding = wake.filter(|wake| !wake.held);
        let waits = self.moved().filter(|step| wake.is_none() && WAITS.iter().any(|kind| step.is(kind)));
        let pending = if wake.is_some() || waits.is_some() { json!([main(entity)]) } else { json!([]) };
        let [claimed, released, done] = self.past.of(entity.id);
        let at = |kinds: &[&str], past| self.last(kinds).map(Step::at).or(past).and_then(timestamp);
        columns([
            ("tenant_id", tenant()),
            ("entity_url", Some(entity.url.clone())),
            ("pending_source_streams", Some(pending.to_string())),
            ("pending_reason", waits.map(|step| step.why().to_owned())),
            ("pending_since", waits.map(Step::at).and_then(timestamp)),
            ("outstanding_wake_id", outstanding.map(|wake| wake.id.clone())),
            ("outstanding_wake_target", outstanding.map(|_| target(&self.subscription.kind).to_string())),
            ("outstanding_wake_created_at", outstanding.and_then(|_| timestamp(self.newest.began()))),
            ("active_consumer_id", held.map(|wake| wake.id.clone())),
            ("active_runner_id", held.and_then(|_| self.runner())),
            ("active_epoch", held.map(|_| self.subscription.generation.to_string())),
            ("active_claimed_at", held.and_then(|wake| wake.claimed_at).and_then(timestamp)),
            ("active_lease_expires_at", held.and_then(|wake| wake.lease_until).and_then(timestamp)),
            ("last_wake_id", self.newest.wake.clone().or_else(|| self.before.as_ref()?.wake.clone())),
            (
                "last_claimed_at",
                held.and_then(|wake| wake.claimed_at).and_then(timestamp).or_else(|| at(&["claimed"], claimed)),
            ),
            ("last_released_at", at(ENDS, released)),
            ("last_completed_at", at(&["done"], done)),
            ("last_error", self.subscription.error.clone()),
            ("updated_at", timestamp(self.updated_at())),
        ])
    }

    fn notification(&self, read: &Read<'_>, entity: &EntityRow, wake: &str) -> Result<Columns, SqlError> {
        let (kind, flying, ended) = (&self.subscription.kind, self.in_flight(), self.ended());
        let claimed = self.claimed_at();
        let announced = self.newest.find("emitted").filter(|_| self.runner().is_some()).map(Step::at);
        let delivered = if self.runner().is_some() { announced } else { claimed };
        let delivery = match (delivered, ended) {
            (_, Some(end)) if end.is("dead-lettered") => "failed",
            (Some(_), _) => "delivered",
            (None, Some(_)) => "superseded",
            (None, None) => "queued",
        };
        let claim = match (claimed, ended) {
            (_, Some(end)) if end.is("done") => "completed",
            (Some(_), None) => "claimed",
            (Some(_), Some(_)) => "expired",
            (None, _) => "unclaimed",
        };
        let url = if let Kind::Webhook { url } = kind { Some(url.clone()) } else { None };
        let stream = match &self.runner() {
            Some(runner) => read.runner(runner)?.map(|runner| runner.wake_stream),
            None => None,
        };
        let public = json!({
            "subscription_id": self.subscription.name, "wake_id": wake, "generation": self.newest.generation,
            "streams": [main(entity)],
        });
        Ok(columns([
            ("tenant_id", tenant()),
            ("wake_id", Some(wake.to_owned())),
            ("entity_url", Some(entity.url.clone())),
            ("target_type", Some(if url.is_some() { "webhook" } else { "runner" }.to_owned())),
            ("target_runner_id", self.runner()),
            ("target_webhook_url", url),
            ("runner_wake_stream", stream),
            ("runner_wake_stream_offset", flying.and_then(|wake| wake.announced).map(|offset| offset.to_string())),
            ("notification_public", Some(public.to_string())),
            ("delivery_status", Some(delivery.to_owned())),
            ("claim_status", Some(claim.to_owned())),
            ("created_at", timestamp(self.newest.began())),
            ("delivered_at", delivered.and_then(timestamp)),
            ("claimed_at", claimed.and_then(timestamp)),
            ("resolved_at", ended.map(Step::at).and_then(timestamp)),
        ]))
    }

    /// The claim of the newest wake, once somebody has taken it.
    fn claim(&self, entity: &EntityRow, wake: &str) -> Option<Columns> {
        let (claimed, held, ended) = (self.claimed_at()?, self.held(), self.ended());
        let status = match ended {
            None => "active",
            Some(end) if end.is("expired") => "expired",
            Some(_) => "released",
        };
        let acked = ended
            .filter(|end| end.is("done"))
            .map(|_| json!([{ "path": main(entity), "offset": Offset::at(self.newest.to).to_string() }]).to_string());
        Some(columns([
            ("tenant_id", tenant()),
            ("consumer_id", Some(wake.to_owned())),
            ("epoch", Some(self.newest.generation.to_string())),
            ("wake_id", Some(wake.to_owned())),
            ("entity_url", Some(entity.url.clone())),
            ("stream_path", Some(main(entity))),
            ("runner_id", self.runner()),
            ("status", Some(status.to_owned())),
            ("claimed_at", timestamp(claimed)),
            ("last_heartbeat_at", held.and_then(|wake| wake.heartbeat_at).and_then(timestamp)),
            ("lease_expires_at", held.and_then(|wake| wake.lease_until).and_then(timestamp)),
            ("released_at", ended.map(Step::at).and_then(timestamp)),
            ("acked_streams", acked),
            ("updated_at", timestamp(self.updated_at())),
        ]))
    }

    /// The last step of the newest wake. Whoever calls under one that is over moves nothing.
    fn moved(&self) -> Option<&Step> {
        self.newest.steps.iter().rev().find(|step| !step.is("fenced"))
    }

    /// When it last moved, or gave a sign of life.
    fn updated_at(&self) -> Time {
        self.moved().map(Step::at).max(self.held().and_then(|wake| wake.heartbeat_at)).unwrap_or_default()
    }

    fn claimed_at(&self) -> Option<Time> {
        let held = self.held().and_then(|wake| wake.claimed_at);
        held.or_else(|| self.newest.find("claimed").map(Step::at))
    }
}

impl Record {
    /// When its first step was.
    fn began(&self) -> Time {
        self.steps.first().map(Step::at).unwrap_or_default()
    }

    /// The last step of a kind.
    fn find(&self, kind: &str) -> Option<&Step> {
        self.steps.iter().rev().find(|step| step.is(kind))
    }
}

fn main(entity: &EntityRow) -> String {
    format!("{}/main", entity.url)
}

/// What is not known of an entity that no wake was about.
const NOTHING_YET: [&str; 15] = [
    "pending_reason",
    "pending_since",
    "outstanding_wake_id",
    "outstanding_wake_target",
    "outstanding_wake_created_at",
    "active_consumer_id",
    "active_runner_id",
    "active_epoch",
    "active_claimed_at",
    "active_lease_expires_at",
    "last_wake_id",
    "last_claimed_at",
    "last_released_at",
    "last_completed_at",
    "last_error",
];
/// The steps that end a wake.
pub(super) const ENDS: &[&str] = &["done", "released", "expired", "parked", "ended", "dead-lettered"];
/// The steps after which something waits.
const WAITS: &[&str] = &["slowed", "parked", "dead-lettered"];
