// What is wrong with the layout of the page that is open: a list of sentences.
(() => {
  const article = document.querySelector("article");
  const faults = [];
  const wide = innerWidth >= 1000;  // on a phone, blocks of code, tables and formulas may scroll
  const shown = (node) => JSON.stringify(node.textContent.trim().slice(0, 60));

  if (document.documentElement.scrollWidth > innerWidth) faults.push("the page is wider than the window");

  for (const block of article.querySelectorAll("pre > code, .md-typeset__scrollwrap, .formulas, .jp-RenderedText pre"))
    if (wide && block.scrollWidth > block.clientWidth + 1) faults.push(`cut by ${block.scrollWidth - block.clientWidth} px: ${shown(block)}`);

  for (const picture of document.images)
    if (!picture.naturalWidth) faults.push(`no picture: ${picture.src}`);

  const right = article.getBoundingClientRect().right + 1;
  const range = document.createRange();
  const texts = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode;
    const parent = node.parentElement;
    if (parent.closest("td, th")) {
      for (const word of node.data.matchAll(/[\p{L}\p{N}_]+/gu)) {
        range.setStart(node, word.index);
        range.setEnd(node, word.index + word[0].length);
        const lines = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
        if (lines.size > 1) faults.push(`a word is torn: ${word[0]}`);
      }
    } else if (!parent.closest("pre, .formulas")) {
      range.selectNodeContents(node);
      if ([...range.getClientRects()].some((box) => box.right > right)) faults.push(`text leaves the page: ${shown(node)}`);
    }
  }
  return faults;
})()
