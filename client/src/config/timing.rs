//! The table `[timing]`: every constant of a link, under its own name.

use psess_protocol::timing::Timing;
use serde::Deserialize;

use super::duration::Interval;

macro_rules! settings {
    (
        durations: $($duration:ident)*;
        switchable: $($switchable:ident)*;
        numbers: $($number:ident: $type:ty = $least:literal $most:literal)*;
    ) => {
        /// What the file says of [`Timing`].
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        pub(super) struct TimingSettings {
            $(#[serde(deserialize_with = "duration")] $duration: Option<Interval>,)*
            $($switchable: Option<Interval>,)*
            $($number: Option<Between<$least, $most>>,)*
            #[serde(deserialize_with = "durations")]
            redial: Option<Vec<Interval>>,
        }

        impl TimingSettings {
            /// Changes what was set.
            pub(super) fn apply(self, timing: &mut Timing) {
                $(if let Some(Interval(Some(value))) = self.$duration {
                    timing.$duration = value;
                })*
                $(if let Some(Interval(value)) = self.$switchable {
                    timing.$switchable = value;
                })*
                $(if let Some(Between(value)) = self.$number {
                    timing.$number = value as $type;
                })*
                if let Some(redial) = self.redial {
                    timing.redial = redial.into_iter().filter_map(|wait| wait.0).collect();
                }
            }
        }
    };
}

settings! {
    durations: heartbeat_active
        heartbeat_shortest
        heartbeat_longest
        active_for
        probe_after
        banner_with_input
        banner
        banner_closed
        suspect
        suspect_with_input
        suspect_after_wake
        dead
        redial_after_reached
        redial_shortest
        redial_beside
        stable_after
        dial
        dial_interactive
        attach
        leave
        answer_after
        typed_apart
        acknowledge_apart
        acknowledge_rest_apart
        local_redial
        local_give_up;
    switchable: heartbeat_idle path_idle_timeout ask_after;
    // Room for input as much as the client reads at once, twice; and no acknowledgement so late
    // that the server's credit is used up before.
    numbers: input_in_flight_bytes: usize = 1 0xffff_ffff
        input_bytes: usize = 8192 0xffff_ffff
        acknowledge_bytes: u64 = 1 16384
        dials_at_once: usize = 2 100;
}

/// A number with bounds.
#[derive(Debug)]
struct Between<const LEAST: u64, const MOST: u64>(u64);

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Between<LEAST, MOST> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = i64::deserialize(deserializer)?;
        match u64::try_from(value) {
            Ok(number) if (LEAST..=MOST).contains(&number) => Ok(Self(number)),
            Ok(_) | Err(_) => Err(serde::de::Error::custom(format!(
                "{value} is not between {LEAST} and {MOST}"
            ))),
        }
    }
}

/// A duration that cannot be switched off.
fn duration<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Interval>, D::Error> {
    on(Interval::deserialize(deserializer)?).map(Some)
}

/// At least one such duration.
fn durations<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<Interval>>, D::Error> {
    let durations = Vec::<Interval>::deserialize(deserializer)?;
    if durations.is_empty() {
        return Err(serde::de::Error::custom("at least one duration is needed"));
    }
    durations
        .into_iter()
        .map(on)
        .collect::<Result<_, _>>()
        .map(Some)
}

fn on<E: serde::de::Error>(interval: Interval) -> Result<Interval, E> {
    match interval.0 {
        Some(_) => Ok(interval),
        None => Err(E::custom("this cannot be 'off': use a duration like '15s'")),
    }
}
