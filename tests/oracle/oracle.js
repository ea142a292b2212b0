// Feeds @xterm/headless and compares what it shows.
//
// Reads one JSON object a line: {whole: run, cuts: [{cut, run}]}, a run being {rows, columns, steps}
// and a step either bytes in base64 or [rows, columns], another size. For each cut a fresh terminal
// is taken through its run (the replay, and what came after), and is compared with one that went
// through the whole. Answers one JSON array a line: [{cut, field, whole, replayed}].
"use strict";

const readline = require("node:readline");
const { Terminal } = require("@xterm/headless");
const { Unicode11Addon } = require("@xterm/addon-unicode11");

function fresh(rows, columns) {
  const terminal = new Terminal({
    rows,
    cols: columns,
    scrollback: 100000,
    allowProposedApi: true,
    // As VTE, kitty and Alacritty do it; by itself it leaves that line as it is wrapped.
    reflowCursorLine: true,
  });
  terminal.loadAddon(new Unicode11Addon());
  terminal.unicode.activeVersion = "11";
  // It has no palette of its own, but says what is set and what is reset.
  terminal.palette = {};
  terminal._core._inputHandler.onColor((requests) => {
    for (const { type, index, color } of requests) {
      if (type === 1) terminal.palette[index] = color.join(",");
      else if (type === 2 && index === undefined) terminal.palette = {};
      else if (type === 2) delete terminal.palette[index];
    }
  });
  return terminal;
}

async function taken_through({ rows, columns, steps }) {
  const terminal = fresh(rows, columns);
  for (const step of steps) {
    if (Array.isArray(step)) resize(terminal, ...step);
    else await new Promise((resolve) => terminal.write(Buffer.from(step, "base64"), resolve));
  }
  return terminal;
}

// With the cursor where its cell goes: by itself it stays in the last row of a line that is
// wrapped anew, wherever in that line it stood.
function resize(terminal, rows, columns) {
  const buffer = terminal._core.buffers.normal;
  const line = buffer.lines.get(buffer.ybase + buffer.y);
  if (terminal.buffer.active.type !== "normal" || buffer.x >= line.length || !line.getCodePoint(buffer.x)) {
    terminal.resize(columns, rows);
    return;
  }
  const cell = line.loadCell(buffer.x, terminal.buffer.normal.getNullCell());
  const MARK = 0x10fffd;
  line.setCellFromCodepoint(buffer.x, MARK, cell.getWidth(), cell);
  terminal.resize(columns, rows);
  for (let y = 0; y < buffer.lines.length; y++) {
    const line = buffer.lines.get(y);
    for (let x = 0; x < line.length; x++) {
      if (line.getCodePoint(x) !== MARK) continue;
      line.setCell(x, cell);
      buffer.x = x;
      buffer.y = y - buffer.ybase;
    }
  }
}

function link(terminal, cell) {
  const id = cell.hasExtendedAttrs() ? cell.extended.urlId : 0;
  return id ? terminal._core._oscLinkService.getLinkData(id).uri : "";
}

function line(terminal, buffer, index, cell) {
  const row = buffer.getLine(index);
  const parts = [];
  for (let column = 0; column < row.length; column++) {
    row.getCell(column, cell);
    if (cell.getWidth() === 0) continue;
    const flags = [
      cell.isBold(), cell.isItalic(), cell.isDim(), cell.isUnderline(), cell.isBlink(),
      cell.isInverse(), cell.isInvisible(), cell.isStrikethrough(), cell.isOverline(),
    ].map((flag) => (flag ? 1 : 0)).join("");
    // Erased or a space: nobody sees it.
    parts.push([cell.getChars() || " ", cell.getWidth(), cell.getFgColorMode(), cell.getFgColor(),
      cell.getBgColorMode(), cell.getBgColor(), flags, link(terminal, cell)].join(","));
  }
  while (parts.length && parts[parts.length - 1] === " ,1,0,-1,0,-1,000000000,") parts.pop();
  return (row.isWrapped ? "wrapped " : "") + parts.join("|");
}

function attributes(data) {
  return [data.fg, data.bg].join(",");
}

function state(terminal) {
  const core = terminal._core;
  const cell = terminal.buffer.normal.getNullCell();
  const result = {};
  const shown = terminal.buffer.active.type;
  for (const name of shown === "alternate" ? ["normal", "alternate"] : ["normal"]) {
    const buffer = terminal.buffer[name];
    result[name + " length"] = buffer.length;
    for (let index = 0; index < buffer.length; index++) {
      result[name + " " + (index - buffer.baseY)] = line(terminal, buffer, index, cell);
    }
    const inner = core.buffers[name === "normal" ? "normal" : "alt"];
    // As restoreCursor reads it.
    const savedY = Math.max(inner.savedY - inner.ybase, 0);
    result[name + " saved"] = [inner.savedX, savedY, attributes(inner.savedCurAttrData)].join(" ");
  }
  const active = core.buffers.active;
  result.shown = shown;
  result.cursor = [active.x, active.y].join(" ");
  result.margins = [active.scrollTop, active.scrollBottom].join(" ");
  result.tabs = Object.keys(active.tabs).filter((tab) => active.tabs[tab] && tab < terminal.cols).join(" ");
  result.pen = attributes(core._inputHandler._curAttrData);
  result.modes = JSON.stringify(terminal.modes);
  result.ansiModes = JSON.stringify(core.coreService.modes);
  const { synchronizedOutput, ...privateModes } = core.coreService.decPrivateModes;
  result.privateModes = JSON.stringify(privateModes);
  result.hidden = core.coreService.isCursorHidden;
  const mouse = core.coreMouseService || core.mouseStateService || {};
  result.mouse = [mouse.activeProtocol, mouse.activeEncoding].join(" ");
  result.charset = JSON.stringify([core._charsetService.charset || null, core._charsetService.glevel]);
  result.palette = JSON.stringify(terminal.palette, Object.keys(terminal.palette).sort());
  result.title = core._inputHandler._windowTitle || "";
  return result;
}

// Of rows only the cells from the first difference on.
function narrowed(whole, replayed) {
  const [one, two] = [whole.split("|"), replayed.split("|")];
  let at = 0;
  while (at + 1 < one.length && one[at] === two[at]) at++;
  const part = (cells) => (at ? `cell ${at}: ` : "") + cells.slice(at, at + 3).join("|");
  return { whole: part(one), replayed: part(two) };
}

async function compare({ whole, cuts }) {
  const reference = await taken_through(whole);
  const expected = state(reference);
  const differences = [];
  for (const { cut, run } of cuts) {
    const terminal = await taken_through(run);
    const found = state(terminal);
    for (const field of new Set([...Object.keys(expected), ...Object.keys(found)])) {
      if (expected[field] !== found[field]) {
        differences.push({ cut, field, ...narrowed(String(expected[field]), String(found[field])) });
      }
    }
    terminal.dispose();
  }
  reference.dispose();
  return differences;
}

(async () => {
  for await (const request of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await compare(JSON.parse(request))) + "\n");
  }
})();
