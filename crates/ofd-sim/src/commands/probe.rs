//! `kkt-sim probe`.

use std::time::Instant;

use kkt_proto::header::{CrcMode, PVersion};
use serde::Serialize;

use super::resolve;
use crate::args::ProbeArgs;
use crate::link::{Link, LinkSettings, LinkTiming};

#[derive(Serialize)]
struct Outcome {
    answered: bool,
    milliseconds: f64,
    flags: Option<String>,
    error: Option<String>,
}

pub(super) async fn run(args: &ProbeArgs) -> anyhow::Result<bool> {
    let to = resolve(&args.to).await?;
    let timing = LinkTiming {
        connect_timeout: args.timeout_s,
        answer_timeout: args.timeout_s,
        ..LinkTiming::default()
    };
    let mut link = Link::new(LinkSettings {
        to,
        fn_number: args.fn_number,
        p_version: PVersion::FFD_1_2,
        crc_mode: CrcMode::None,
        persistent: false,
        timing,
    });
    let began = Instant::now();
    let answer = link.probe().await;
    let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
    let good = answer.as_ref().is_ok_and(|reply| reply.body.is_empty() && reply.header.flags.bits() == 0);
    let flags = answer.as_ref().ok().map(|reply| format!("0x{:04x}", reply.header.flags.bits()));
    let error = match &answer {
        Ok(_) if good => None,
        Ok(reply) => Some(format!("not the answer to a probe: {} bytes of body", reply.body.len())),
        Err(silence) => Some(silence.to_string()),
    };
    if args.json {
        println!("{}", serde_json::to_string(&Outcome { answered: good, milliseconds, flags, error })?);
    } else {
        match error {
            None => println!("{to} answers a probe, {milliseconds:.1} ms"),
            Some(error) => println!("{to}: {error}"),
        }
    }
    Ok(good)
}
