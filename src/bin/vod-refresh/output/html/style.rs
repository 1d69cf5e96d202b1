//! The page's style sheet. Colours of text have a contrast of 4.5 or more on both backgrounds. They never stand alone:
//! each state also has a sign and a word, each kind of bar a form. Print shows what is unfolded, so a page with long
//! tables does not fill a hundred sheets unasked.

/// Goes into the page as it stands; the page's policy names it by its digest.
pub(super) const SHEET: &str = r#"
:root { color-scheme: light dark; --page: #f4f6f8; --card: #fff; --inset: #f4f6f8; --text: #1b2026; --soft: #57606a;
  --line: #d5dbe1; --edge: #8a949e; --ok: #1a7f37; --bad: #b42318; --open: #875400; --calm: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --page: #0f1318; --card: #171c22; --inset: #1f262d; --text: #e6e9ee; --soft: #a3adb8; --line: #313a44;
    --edge: #7d8894; --ok: #4cc26b; --bad: #ff8a80; --open: #e3b341; --calm: #6cb2ff; }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 3.5rem; }
body { margin: 0 auto; max-width: 78rem; padding: 1.5rem 1.25rem 3rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; letter-spacing: -.01em; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 0 0 .6rem; }
h3 { font-size: 1rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
p { margin: .4rem 0; max-width: 48rem; overflow-wrap: anywhere; }
a { color: var(--calm); }
:focus-visible { outline: 3px solid var(--calm); outline-offset: 2px; border-radius: 2px; }
code, .id, td.url { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .86em; overflow-wrap: anywhere; }
.ok { color: var(--ok); } .bad { color: var(--bad); } .open { color: var(--open); } .soft { color: var(--soft); }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: .5rem; background: var(--card);
  padding: .4rem .8rem; z-index: 2; }
header, main > section { background: var(--card); border: 1px solid var(--line); border-radius: .7rem;
  padding: 1.2rem 1.4rem 1.3rem; }
main > section { margin-top: 1rem; }
.hero { border-left: 5px solid currentColor; padding-left: 1rem; } .hero h1 { color: var(--text); }
.verdict { font-weight: 600; font-size: 1.05rem; margin: .25rem 0 0; }
.note { background: var(--inset); border-radius: .5rem; padding: .5rem .9rem; margin: .9rem 0 0; }
.next { margin: .9rem 0 0; }
.next code { background: var(--inset); border-radius: .3rem; padding: .15rem .4rem; }
dl.facts { display: flex; flex-wrap: wrap; gap: .4rem 2.2rem; margin: 1rem 0 0; }
dl.facts dt { color: var(--soft); font-size: .88em; } dl.facts dd { margin: 0; overflow-wrap: anywhere; }
dl.facts div { min-width: 0; }
.sums { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .8rem; padding: 0;
  margin: 1.1rem 0 0; list-style: none; }
.sums > li { background: var(--inset); border-radius: .5rem; padding: .7rem .9rem .75rem; }
.sums b { display: block; font-size: 1.65rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.sums ul { list-style: none; margin: .3rem 0 0; padding: 0; font-size: .92em; }
.shares { border-radius: 4px; overflow: hidden; margin: .25rem 0 .4rem; background: var(--line); }
nav { position: sticky; top: 0; z-index: 1; background: var(--page); padding: .7rem .2rem .5rem; margin-bottom: -.5rem; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0; margin: 0; }
nav a { text-decoration: none; } nav a:hover { text-decoration: underline; }
.reason { border-left: 3px solid var(--bad); padding: .1rem 0 .1rem .9rem; margin: 0 0 1.1rem; }
.reason:last-child { margin-bottom: 0; }
.advice { background: var(--inset); border-radius: .4rem; padding: .4rem .7rem; }
ul.rows { margin: .4rem 0 0; padding-left: 1.2rem; } ul.rows li { margin: .2rem 0; overflow-wrap: anywhere; }
ul.rows ul { padding-left: 1.1rem; }
details { margin: .4rem 0 0; } summary { cursor: pointer; color: var(--calm); padding: .2rem 0; width: fit-content; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: .2rem 0 .5rem; }
th, td { text-align: left; vertical-align: top; padding: .32rem 1.1rem .32rem 0; border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 400; } tbody th.id { min-width: 13rem; } td.id { min-width: 8rem; }
td.word { white-space: nowrap; } td.url { min-width: 18rem; }
.number { text-align: right; white-space: nowrap; }
table.small { width: auto; min-width: min(26rem, 100%); }
table.small .soft { display: block; padding-left: 22px; font-size: .92em; }
figure { margin: .6rem 0 0; }
.chart { display: grid; grid-template-columns: 8.5rem minmax(0, 1fr); }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.3rem; list-style: none; padding: 0; margin: .5rem 0; font-size: .92em; }
.key svg, svg.sample { vertical-align: -1px; margin-right: .5rem; }
svg { display: block; overflow: visible; } .key svg, svg.sample { display: inline-block; }
svg text { font-size: 11px; fill: var(--text); } svg text.soft { fill: var(--soft); }
svg text.bad { fill: var(--bad); } svg text.open { fill: var(--open); }
svg .grid { stroke: var(--line); } svg .axis { stroke: var(--edge); } svg .band { fill: var(--inset); }
svg .wait { stroke: var(--edge); stroke-width: 1.5; stroke-dasharray: 1.5 3.5; } svg .sent { stroke: var(--edge); stroke-width: 2; }
svg .fill-ok { fill: var(--ok); } svg .fill-bad { fill: var(--bad); } svg .fill-open { fill: var(--open); }
svg .bar-ok { fill: var(--ok); } svg .bar-calm { fill: var(--calm); }
svg .bar-soft { fill: var(--inset); stroke: var(--edge); } svg .bar-rest { fill: var(--edge); }
svg .bar-gap { fill: var(--card); stroke: var(--calm); stroke-width: 1.5; stroke-dasharray: 3 2; }
svg .bar-bad { fill: var(--card); stroke: var(--bad); stroke-width: 2.5; }
svg .bar-open { fill: none; stroke: var(--open); stroke-width: 1.5; stroke-dasharray: 4 3; }
footer { color: var(--soft); font-size: .9em; margin-top: 1.2rem; }
@media (max-width: 40rem) {
  body { padding: .6rem .6rem 2rem; } h1 { font-size: 1.35rem; }
  header, main > section { padding: .9rem .9rem 1rem; }
  nav { position: static; } .chart { grid-template-columns: 5.9rem minmax(0, 1fr); }
  th, td { padding-right: .6rem; } table.small .soft { padding-left: 0; }
  .sums { grid-template-columns: 1fr 1fr; gap: .5rem; } .sums > li { padding: .5rem .7rem .6rem; }
}
@media print {
  :root { color-scheme: light; --page: #fff; --card: #fff; --inset: #f4f6f8; --text: #000; --soft: #444; --line: #bbb;
    --edge: #777; --ok: #1a7f37; --bad: #b42318; --open: #875400; --calm: #0b5cad; }
  * { print-color-adjust: exact; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  header, main > section { border: 0; padding: 0; } main > section { margin-top: 1.4rem; }
  nav, .skip { display: none; } .sums { grid-template-columns: repeat(4, 1fr); }
  h2, h3, section > p, caption, .key, summary, thead tr { break-after: avoid; } tr, li, .key, figure.short { break-inside: avoid; } thead { display: table-header-group; }
  .scroll { overflow: visible; } table { font-size: 8.5pt; } th, td { padding-right: .5rem; }
  td.url, td.id { min-width: 0; font-size: 6.5pt; } tbody th.id, #media td.id { min-width: 10.6rem; font-size: 6.5pt; }
}
"#;
