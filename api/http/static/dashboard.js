// What pages do beyond htmx: hear of news, draw curves, and follow the theme. No other script is ours.
"use strict";
(() => {
  const body = document.body;
  const pulse = document.getElementById("pulse");
  const SAYS = { on: "live", lost: "not live", off: "" };
  let source = null, again = 0;

  const say = (state) => {
    if (pulse) { pulse.dataset.state = state; pulse.firstElementChild.textContent = SAYS[state]; }
  };

  // ---- news: a stream of events says that there is some, and htmx asks for what it is
  const news = () => body.dispatchEvent(new CustomEvent("news"));
  const stop = () => { clearTimeout(again); if (source) { source.close(); source = null; } };
  const listen = () => {
    stop();
    source = new EventSource(body.dataset.news);
    source.addEventListener("hello", () => { say("on"); news(); });
    source.addEventListener("news", news);
    source.onerror = () => {
      say("lost");
      if (source && source.readyState === EventSource.CLOSED) { stop(); again = setTimeout(listen, 3000); }
    };
  };
  if (body.dataset.news) {
    document.addEventListener("visibilitychange", () => { if (document.hidden) { stop(); say("off"); } else listen(); });
    addEventListener("pagehide", stop);
    addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
    if (!document.hidden) listen();
  }

  // ---- an experiment that folds its log: look again
  if (body.dataset.reload) setTimeout(() => location.reload(), 1000 * body.dataset.reload);

  // ---- curves: an element with data-plot holds the numbers as JSON, and uPlot draws them into it
  const drawn = new WeakMap();
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const digits = (value) => value == null ? "\u2013" : Math.abs(value) >= 1000 ? value.toLocaleString("en") : String(+value.toPrecision(4));
  const whole = (count) => count.toLocaleString("en");
  const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC");
  const when = (self, seconds) => seconds == null ? "\u2013" : new Date(seconds * 1e3).toISOString().slice(0, 19).replace("T", " ");

  const moment = (seconds, step) => {
    const text = new Date(seconds * 1e3).toISOString();
    if (step < 1 && seconds % 1) return null; // between two seconds: it would say the one before again
    return step >= 86400 ? text.slice(5, 10) : step >= 60 ? text.slice(11, 16) : text.slice(11, 19);
  };
  const tellLast = (chart) => chart.setLegend({ idx: chart.data[0].length - 1 }); // where no pointer is over the curve

  // what an axis shows: some room around the numbers, but none where no number can be
  const rangeOf = (low, high, within) => {
    if (low == null) return [0, 1];
    const [least, most] = within || (low >= 0 && high <= 1 ? [0, 1] : [-Infinity, Infinity]);
    const [from, to] = low === high ? [low - .5, high + .5] : uPlot.rangeNum(low, high, .1, true);
    return [Math.max(from, least), Math.min(to, most)];
  };

  const optionsOf = (plot, width, newest) => {
    const axis = { stroke: ink("--faint"), grid: { stroke: ink("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const opacity = plot.series.filter((one) => one.edge).length > 4 ? "18" : "2b"; // of many bands each hides less
    const bands = [], series = [plot.counts ? { label: "Decisions", value: (self, n) => n == null ? "\u2013" : whole(n) } : { label: "UTC", value: when }];
    for (const [i, one] of plot.series.entries()) {
      const colour = ink(`--s${one.colour ?? i % 8}`);
      series.push({
        label: one.label, value: (self, value) => digits(value) + (value == null ? "" : plot.unit || ""),
        stroke: one.edge ? "transparent" : colour, width: one.edge ? 0 : 2, dash: one.dash ? [6, 4] : undefined,
        points: { show: false }, spanGaps: true,
      });
      if (one.edge === "low") bands.push({ series: [i + 2, i + 1], fill: colour + opacity });
    }
    return {
      width, height: 240, series, bands, tzDate: utc, legend: { live: true },
      cursor: { points: { size: 7 }, drag: { x: true, y: false } },
      scales: { x: { time: !plot.counts }, y: { range: (self, low, high) => { const { range, view, within } = newest(); return range || rangeOf(...(view || [low, high]), within); } } },
      axes: [{ ...axis, size: 32, space: 76, values: (self, splits, at, space, step) => splits.map((each) => plot.counts ? (each % 1 ? null : whole(each)) : moment(each, step)) }, { ...axis, size: 56, values: (self, values) => values.map((value) => digits(value) + (plot.unit || "")) }],
    };
  };

  const draw = (element, anew) => {
    const text = element.dataset.plot, known = drawn.get(element);
    if (known && known.text === text && !anew) return;
    const plot = JSON.parse(text), data = [plot.x, ...plot.series.map((one) => one.y)];
    const shape = JSON.stringify(plot.series.map((one) => one.label));
    if (known && known.shape === shape && !anew) {
      Object.assign(known, { text, plot });
      known.chart.setData(data);
      if (!element.matches(":hover")) setTimeout(tellLast, 50, known.chart);
      return;
    }
    if (known) known.chart.destroy();
    const made = { text, shape, plot };
    made.chart = new uPlot(optionsOf(plot, element.clientWidth, () => made.plot), data, element);
    const { chart } = made;
    chart.over.addEventListener("mouseleave", () => setTimeout(tellLast, 0, chart));
    setTimeout(tellLast, 50, chart); // it is laid out a moment later
    drawn.set(element, made);
    sizes.observe(element);
  };
  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const known = drawn.get(target);
      if (known && target.clientWidth && known.chart.width !== target.clientWidth) known.chart.setSize({ width: target.clientWidth, height: 240 });
    }
  });
  const drawAll = (anew) => { for (const element of document.querySelectorAll("[data-plot]")) draw(element, anew); };
  document.addEventListener("htmx:after:swap", () => drawAll(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(true));
  drawAll(false);
})();
