"""The page's style sheet: the system's own type, two palettes, and paper."""

from __future__ import annotations

CSS = """
:root{--ink:#1b2430;--soft:#5b6774;--line:#dde3ea;--ground:#fff;--panel:#f6f8fa;
--paid:#0b7a75;--stay:#c77700;--other:#7a8699;--good:#0b7a3e;--bad:#b3261e;--warn:#8a5a00}
@media (prefers-color-scheme:dark){:root{--ink:#e7ecf2;--soft:#9aa7b5;--line:#2c3744;--ground:#10161d;--panel:#18212b;
--paid:#3fc9c0;--stay:#f0a93b;--other:#8fa0b5;
--good:#5ad28a;--bad:#ff8a80;--warn:#f0c060}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:40px 28px 56px}
.brand{margin:0 0 4px;color:var(--paid);font-weight:700;letter-spacing:.02em}
h1{margin:0 0 8px;font-size:30px;line-height:1.2}
h2{margin:0 0 12px;font-size:19px}
h3{margin:16px 0 4px;font-size:15px}
p{margin:0 0 10px;max-width:80ch}
section{margin-top:36px;padding-top:20px;border-top:1px solid var(--line)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(175px,1fr));gap:12px;margin:24px 0 12px}
.tiles div{padding:14px 16px;border:1px solid var(--line);border-radius:10px;background:var(--panel)}
.tiles dt{color:var(--soft);font-size:13px}
.tiles dd{margin:2px 0;font-size:25px;font-weight:650;font-variant-numeric:tabular-nums}
.tiles small{color:var(--soft)}
figure{margin:0 0 20px;padding:12px 14px;border:1px solid var(--line);border-radius:10px}
figcaption{display:flex;flex-wrap:wrap;justify-content:space-between;gap:8px;margin-bottom:4px;color:var(--soft);font-size:13px}
svg{display:block;width:100%;height:auto}
svg text{fill:var(--soft);font-size:11px;font-variant-numeric:tabular-nums}
svg .name{fill:var(--ink);font-size:12px}
svg .grid{stroke:var(--line);stroke-width:1}
polyline{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
polyline.paid{stroke:var(--paid);stroke-width:2.5}polyline.stay{stroke:var(--stay);stroke-dasharray:5 4}polyline.other{stroke:var(--other)}
circle.paid{fill:var(--paid)}circle.stay{fill:var(--stay)}circle.other{fill:var(--other)}
rect.fill{fill:var(--paid)}rect.frame{fill:var(--panel);stroke:var(--line)}
.keys{display:flex;gap:14px}
.key::before{content:"";display:inline-block;width:16px;height:0;margin-right:6px;border-top:3px solid;vertical-align:middle}
.key.paid::before{border-color:var(--paid)}.key.stay::before{border-color:var(--stay);border-top-style:dashed}.key.other::before{border-color:var(--other)}
.wide{overflow-x:auto}
table{width:100%;border-collapse:collapse;font-size:13.5px}
th{padding:6px 10px;border-bottom:2px solid var(--line);color:var(--soft);font-weight:600;text-align:left;vertical-align:bottom}
td{padding:6px 10px;border-bottom:1px solid var(--line);vertical-align:top}
th:first-child,td:first-child{padding-left:0}
td:first-child{white-space:nowrap}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
th.n{white-space:normal}
tr.total td{border-bottom:0;font-weight:650}
.whole{white-space:nowrap}
code{font:11px ui-monospace,SFMono-Regular,Menlo,"Liberation Mono",monospace;overflow-wrap:anywhere}
.note{margin-top:8px;color:var(--soft);font-size:13px}
.empty{color:var(--soft)}
.unknown,.warn{color:var(--warn)}.good{color:var(--good)}.bad{color:var(--bad)}
.meter{display:inline-block;width:90px;height:8px;margin-right:6px;border-radius:4px;background:var(--line);overflow:hidden}
.meter i{display:block;height:100%;background:var(--paid)}
ul{margin:0;padding-left:20px}
footer{margin-top:56px}
.sign{display:grid;grid-template-columns:1fr 1fr;gap:48px;margin-bottom:20px;color:var(--soft);font-size:13px}
.sign span{display:block;height:44px;margin-bottom:6px;border-bottom:1px solid var(--soft)}
@media (max-width:640px){main{padding:24px 16px}h1{font-size:24px}.sign{gap:20px}}
@page{size:A4;margin:14mm}
@media print{:root{--ink:#000;--soft:#444;--line:#bbb;--ground:#fff;--panel:#fff;--paid:#0b7a75;--stay:#a86400;--other:#667;--good:#0b5;--bad:#b00;--warn:#750}
body{font-size:11pt;print-color-adjust:exact;-webkit-print-color-adjust:exact}main{max-width:none;padding:0}.wide{overflow:visible}table{font-size:8pt}
td,th{padding:4px 5px}.n .unknown{display:block}.tiles{grid-template-columns:repeat(5,1fr);gap:8px}.tiles div{padding:10px}.tiles dd{font-size:19px}

section{break-inside:auto}figure,tr,.tiles,.sign{break-inside:avoid}h2{break-after:avoid}}
"""
