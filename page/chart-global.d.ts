/** What `chart.umd.min.js` leaves on the window; missing when the file could not be had. */
interface Window {
  readonly Chart?: typeof import("chart.js").Chart;
}
