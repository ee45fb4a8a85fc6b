import { defineConfig } from "vitest/config";

// The page runs under a Content-Security-Policy without inline code or data
// URLs (fe.Policy), so nothing may be inlined. Equal sources give equal files:
// names carry the hash of their content. public/.keep is copied back into dist,
// where it keeps the folder in git for the Go embed.
export default defineConfig({
  base: "/",
  cacheDir: "../../.cache/vite",
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    sourcemap: false,
  },
  server: {
    // `vite fe/web` against a running mbp.
    proxy: Object.fromEntries(["/v1", "/auth", "/panel.json"].map((path) => [path, process.env.MBP_URL ?? "http://127.0.0.1:8420"])),
    fs: { allow: [".."] },
  },
  test: {
    environment: "node",
    include: ["src/**/*.test.ts"],
  },
});
