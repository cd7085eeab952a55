//! A history that is only in memory: for tests of what writes to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::{Ask, History, HistoryError, Imported, rows};
use crate::learn::patterns::Tried;
use crate::learn::{Knowledge, Ledger, Month, Origin};
use crate::point::event::{Event, HealAttempt, Item, Reading, Traits};

/// Everything, in maps.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    events: BTreeMap<String, Event>,
    heals: BTreeMap<String, HealAttempt>,
    judged: BTreeMap<String, bool>,
    traits: BTreeMap<String, Traits>,
    readings: BTreeMap<(String, DateTime<Utc>), f64>,
    knowledge: Knowledge,
}

impl Memory {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History for Memory {
    fn put(&self, items: &[Item]) -> Result<(), HistoryError> {
        let mut kept = self.kept();
        for item in items {
            match item {
                Item::Event(event) => {
                    kept.events.insert(event.id.clone(), event.clone());
                }
                Item::Sample(sample) => {
                    for (figure, value) in sample.figures.iter().filter(|(_, v)| v.is_finite()) {
                        kept.readings.insert((figure.clone(), sample.at), *value);
                    }
                }
                Item::Heal(attempt) => {
                    let event = rows::of_heal(attempt)?;
                    if kept
                        .heals
                        .insert(event.id.clone(), attempt.clone())
                        .is_none()
                    {
                        kept.knowledge.own.count(attempt);
                    }
                    kept.events.insert(event.id.clone(), event);
                }
                Item::Switch(switch) => {
                    for event in rows::of_switch(switch)? {
                        kept.events.insert(event.id.clone(), event);
                    }
                    let id = switch.id.to_string();
                    if let Some(failed) = rows::failed(switch)
                        && kept.judged.insert(id, failed).is_none()
                    {
                        let month = Month::of(switch.started);
                        let judged = kept.knowledge.own.switches.entry(month).or_default();
                        judged.judged += 1;
                        judged.failed += u64::from(failed);
                    }
                }
                Item::Traits { switch, traits } => {
                    let of = kept.traits.entry(switch.to_string()).or_default();
                    of.extend(traits.iter().cloned());
                }
            }
        }
        Ok(())
    }

    fn events(&self, ask: &Ask) -> Result<Vec<Event>, HistoryError> {
        let mut events: Vec<Event> = self
            .kept()
            .events
            .values()
            .filter(|e| ask.kinds.is_empty() || ask.kinds.contains(&e.kind))
            .cloned()
            .collect();
        events.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
        events.truncate(ask.last.unwrap_or(usize::MAX));
        Ok(events)
    }

    fn heals(&self, since: DateTime<Utc>) -> Result<Vec<HealAttempt>, HistoryError> {
        let kept = self.kept();
        Ok(kept
            .heals
            .values()
            .filter(|h| h.at >= since)
            .cloned()
            .collect())
    }

    fn readings(&self, figure: &str, since: DateTime<Utc>) -> Result<Vec<Reading>, HistoryError> {
        let kept = self.kept();
        let of = kept.readings.iter();
        Ok(of
            .filter(|((name, at), _)| name == figure && *at >= since)
            .map(|((_, at), value)| Reading {
                at: *at,
                span: 0,
                samples: 1,
                mean: *value,
                low: *value,
                high: *value,
            })
            .collect())
    }

    fn tried(&self) -> Result<Vec<Tried>, HistoryError> {
        let kept = self.kept();
        let tried = |(id, failed): (&String, &bool)| {
            Some(Tried {
                failed: *failed,
                traits: kept.traits.get(id)?.clone(),
            })
        };
        Ok(kept.judged.iter().filter_map(tried).collect())
    }

    fn knowledge(&self) -> Result<Knowledge, HistoryError> {
        Ok(self.kept().knowledge.clone())
    }

    fn import(
        &self,
        told: &BTreeMap<Origin, Ledger>,
        own: &Origin,
    ) -> Result<Imported, HistoryError> {
        let mut kept = self.kept();
        let before = kept.knowledge.others.clone();
        kept.knowledge.learn(told, own);
        let news: BTreeSet<&Origin> = kept
            .knowledge
            .others
            .iter()
            .filter(|(origin, ledger)| before.get(*origin) != Some(*ledger))
            .map(|(origin, _)| origin)
            .collect();
        Ok(Imported {
            machines: told.len(),
            news: news.len(),
        })
    }

    fn retain(&self, _: DateTime<Utc>) -> Result<(), HistoryError> {
        Ok(())
    }
}
