//! What every page of ours must hold in a browser, whatever it shows.

use super::browser::{Browser, Look};

/// What is wrong with the page that is open.
pub fn problems(browser: &mut Browser, look: Look) -> Vec<String> {
    let mut found = browser.complaints();
    found.extend(browser.requests().into_iter().map(|address| format!("asks for {address}")));
    let seen = browser.value(&format!("({CHECK})({})", look.width));
    found.extend(seen.as_array().unwrap().iter().map(|problem| problem.as_str().unwrap().to_owned()));
    found
}

/// Called in the page with the window's width: nothing wider than the window, all text of enough contrast (WCAG AA),
/// every picture described, no name twice, every link within the page leads somewhere. Everything that can be opened
/// is, first.
const CHECK: &str = r#"width => {
    const problems = [];
    for (const details of document.querySelectorAll("details")) details.open = true;
    // Not beside innerWidth: a phone shows a page that is too wide at a smaller scale, and that grows with it.
    const wide = document.scrollingElement.scrollWidth;
    if (wide > width) problems.push(`${wide} wide in a window of ${width}`);

    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = colour => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
    const background = element => {
        const layers = [];
        for (let e = element; e; e = e.parentElement) layers.push(rgba(getComputedStyle(e).backgroundColor));
        const white = matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0, 1] : [255, 255, 255, 1];
        return layers.reverse().reduce((below, top) => over(top, below), white);
    };
    const luminance = colour => {
        const [r, g, b] = colour.map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const seen = new Set();
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement;
        if (seen.has(element) || !texts.currentNode.data.trim() || element.tagName === "title") continue;
        seen.add(element);
        const style = getComputedStyle(element);
        const below = background(element);
        const colour = over(rgba(element.closest("svg") ? style.fill : style.color), below);
        const [dark, light] = [luminance(colour), luminance(below)].sort((a, b) => a - b);
        const contrast = (light + 0.05) / (dark + 0.05);
        if (contrast < 4.5) {
            problems.push(`contrast ${contrast.toFixed(2)}: ${texts.currentNode.data.trim().slice(0, 40)}`);
        }
    }

    for (const picture of document.querySelectorAll("svg:not([aria-hidden])")) {
        const described = picture.getAttribute("role") === "img" && picture.getAttribute("aria-label");
        if (!described) problems.push("a picture without a description");
    }
    const names = [...document.querySelectorAll("[id]")].map(element => element.id);
    const twice = names.filter((name, index) => names.indexOf(name) !== index);
    if (twice.length) problems.push(`an id used twice: ${twice}`);
    for (const link of document.querySelectorAll("a[href^='#']")) {
        if (!document.getElementById(link.hash.slice(1))) problems.push(`a link that leads nowhere: ${link.hash}`);
    }
    if (document.querySelectorAll("h1").length !== 1) problems.push("not one h1");
    return problems;
}"#;
