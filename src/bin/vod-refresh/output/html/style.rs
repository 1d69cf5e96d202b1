//! The page's style sheet. Colours of text have a contrast of 4.5 or more on both backgrounds. They never stand alone:
//! each state also has a sign and a word, each kind of bar a form. Print shows what is unfolded, so a page with long
//! tables does not fill a hundred sheets unasked.

/// Goes into the page as it stands; the page's policy names it by its digest.
pub(super) const SHEET: &str = r#"
:root { color-scheme: light dark; --page: #fff; --card: #f4f6f8; --text: #1b2026; --soft: #57606a; --line: #d0d7de;
  --ok: #1a7f37; --bad: #b42318; --open: #875400; --calm: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --page: #11151a; --card: #1a2027; --text: #e6e9ee; --soft: #a3adb8; --line: #3a434d;
    --ok: #4cc26b; --bad: #ff8a80; --open: #e3b341; --calm: #6cb2ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1.25rem 3rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p { margin: .4rem 0; max-width: 46rem; }
a { color: var(--calm); }
:focus-visible { outline: 3px solid var(--calm); outline-offset: 2px; }
code, .id, td.url { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .86em; overflow-wrap: anywhere; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; margin: .8rem 0 0; }
.ok { color: var(--ok); } .bad { color: var(--bad); } .open { color: var(--open); } .soft { color: var(--soft); }
.verdict { font-weight: 600; font-size: 1.05rem; }
.note { border-left: 4px solid var(--bad); background: var(--card); padding: .6rem .9rem; margin: .8rem 0; }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .9rem 0 0; }
dl.facts dt { color: var(--soft); } dl.facts dd { margin: 0; overflow-wrap: anywhere; }
.sums { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .8rem; padding: 0;
  margin: 1.2rem 0 0; list-style: none; }
.sums > li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .9rem .7rem; }
.sums b { display: block; font-size: 1.5rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.sums ul { list-style: none; margin: .3rem 0 0; padding: 0; font-size: .92em; }
ul.rows { margin: .4rem 0; padding-left: 1.2rem; } ul.rows li { margin: .25rem 0; overflow-wrap: anywhere; }
ul.rows ul { padding-left: 1.1rem; }
details { margin: .4rem 0; } summary { cursor: pointer; color: var(--calm); padding: .2rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: .2rem 0 .5rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 400; } tbody th.id { min-width: 17rem; } td.id { min-width: 8rem; }
td.word { white-space: nowrap; }
td.url { min-width: 18rem; }
.number { text-align: right; white-space: nowrap; padding-right: 1.4rem; }
table.small { width: auto; min-width: min(26rem, 100%); }
figure { margin: .6rem 0; }
.chart { display: grid; grid-template-columns: 9.5rem minmax(0, 1fr); }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.3rem; list-style: none; padding: 0; margin: .4rem 0; font-size: .92em; }
.key svg { vertical-align: -1px; margin-right: .4rem; }
svg { display: block; overflow: visible; } .key svg, .mini svg { display: inline-block; }
svg text { font-size: 11px; fill: var(--text); } svg text.soft { fill: var(--soft); }
svg text.bad { fill: var(--bad); } svg text.open { fill: var(--open); }
svg .grid { stroke: var(--line); } svg .wait { stroke: var(--soft); stroke-dasharray: 1 3; }
svg .bar-ok { fill: var(--ok); stroke: none; } svg .bar-calm { fill: var(--calm); } svg .bar-soft { fill: var(--line); stroke: var(--soft); }
svg .bar-rest { fill: none; stroke: var(--soft); }
svg .bar-bad { fill: var(--page); stroke: var(--bad); stroke-width: 2.5; }
svg .bar-open { fill: none; stroke: var(--open); stroke-width: 1.5; stroke-dasharray: 4 3; }
@media (max-width: 40rem) {
  body { padding: 1rem .8rem 2rem; } h1 { font-size: 1.35rem; }
  .chart { grid-template-columns: 6.6rem minmax(0, 1fr); }
  dl.facts { grid-template-columns: 1fr; } dl.facts dd { margin-bottom: .3rem; }
  .sums { grid-template-columns: 1fr 1fr; gap: .5rem; } .sums > li { padding: .5rem .6rem; }
}
@media print {
  :root { color-scheme: light; --page: #fff; --card: #fff; --text: #000; --soft: #444; --line: #bbb; --ok: #1a7f37;
    --bad: #b42318; --open: #875400; --calm: #0b5cad; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; } .sums { grid-template-columns: repeat(4, 1fr); }
  h2, h3, caption { break-after: avoid; } tr, li, figure.short { break-inside: avoid; } thead { display: table-header-group; }
  .scroll { overflow: visible; }
}
"#;
